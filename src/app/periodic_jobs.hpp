// Upkeep that the job queue runs once per interval over all processes.
#pragma once

#include "config.hpp"

#include <supd/jobs/queue.hpp>
#include <supd/metrics/metrics.hpp>

namespace supd::app {

/// How long a device may be away and still resume by its cursor; then it starts over with a snapshot.
inline constexpr int kCursorDays = 30;

void add_periodic_jobs(jobs::Queue& queue, const Config& config);

}  // namespace supd::app
