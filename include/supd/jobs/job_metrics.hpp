// jobs_total{kind,outcome}, jobs_duration_seconds, jobs_queue_depth{state}, jobs_oldest_age_seconds.
#pragma once

#include <supd/jobs/queue.hpp>
#include <supd/metrics/metrics.hpp>

#include <memory>

namespace supd::jobs {

/// For the constructor of Queue. Lives until the registry's last expose().
std::unique_ptr<Observer> observe_with(metrics::Registry& registry);

}  // namespace supd::jobs
