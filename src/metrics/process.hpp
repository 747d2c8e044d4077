// process_*: what the Prometheus client libraries tell of a process.
#pragma once

#include <supd/metrics/metrics.hpp>

namespace supd::metrics {

void add_process_metrics(Registry& registry);

}  // namespace supd::metrics
