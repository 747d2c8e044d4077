// The numbers that belong to no single module.
#pragma once

#include <supd/async/blocking_pool.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/chatlog/writer.hpp>
#include <supd/db/database.hpp>
#include <supd/db/replicas.hpp>
#include <supd/metrics/metrics.hpp>
#include <supd/nodes/nodes.hpp>
#include <supd/receipts/receipts.hpp>
#include <supd/trace/tracer.hpp>
#include <supd/ws/endpoint.hpp>
#include <supd/ws/hub.hpp>

#include <functional>
#include <vector>

namespace supd::app {

/// A number of this moment: a gauge of /metrics, and a line of /health on the admin listener.
struct Number {
    const char* name;
    const char* help;
    std::function<double()> now;
};
std::vector<Number> numbers(db::Database& database, async::BlockingPool& cpu, chatlog::Writer& writer,
                            ws::Hub& hub, ws::Endpoint& endpoint, receipts::Module& receipts);

/// Those, what the writer tells of its commits, and how sockets end.
void observe(metrics::Registry& metrics, const std::vector<Number>& numbers, chatlog::Writer& writer,
             ws::Endpoint& endpoint);

/// Only where there are some.
void observe(metrics::Registry& metrics, const db::Replicas& replicas);
/// Only where there is a Redis.
void observe(metrics::Registry& metrics, const nodes::Nodes& nodes);

/// Only where there is a collector.
void observe(metrics::Registry& metrics, const trace::Tracer& tracer);

}  // namespace supd::app
