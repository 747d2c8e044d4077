// The numbers that belong to no single module.
#pragma once

#include <supd/async/blocking_pool.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/chatlog/writer.hpp>
#include <supd/db/database.hpp>
#include <supd/metrics/metrics.hpp>
#include <supd/ws/endpoint.hpp>
#include <supd/ws/hub.hpp>

namespace supd::app {

void observe(metrics::Registry& metrics, db::Database& database, async::BlockingPool& cpu,
             chatlog::Writer& writer, ws::Hub& hub, ws::Endpoint& endpoint);

}  // namespace supd::app
