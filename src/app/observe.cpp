#include "observe.hpp"

namespace supd::app {

std::vector<Number> numbers(db::Database& database, async::BlockingPool& cpu, chatlog::Writer& writer,
                            ws::Hub& hub, ws::Endpoint& endpoint) {
    return {
        {"db_pool_queued", "Transactions that wait for a database connection",
         [&] { return static_cast<double>(database.queued()); }},
        {"db_pool_busy", "Database connections in use", [&] { return static_cast<double>(database.busy()); }},
        {"cpu_pool_queued", "Password hashes that wait", [&] { return static_cast<double>(cpu.queued()); }},
        {"writer_queued", "Messages that wait for their commit",
         [&] { return static_cast<double>(writer.queued()); }},
        {"websocket_connections_active", "Open WebSocket connections",
         [&] { return static_cast<double>(endpoint.sockets()); }},
        {"websocket_sessions_authenticated", "Authenticated WebSocket sessions",
         [&] { return static_cast<double>(hub.connected()); }},
    };
}

void observe(metrics::Registry& metrics, const std::vector<Number>& numbers, chatlog::Writer& writer) {
    for (const auto& number : numbers)
        metrics.gauge_callback(number.name, number.help, number.now);
    auto& sent = metrics.counter("messages_sent_total", "Messages stored");
    auto& rows = metrics.histogram("commit_batch_size", "Messages per commit", metrics::size_bounds(256));
    auto& seconds = metrics.histogram("commit_seconds", "Time of one batch from sending to COMMIT",
                                      metrics::latency_bounds());
    auto& delivery =
        metrics.histogram("message_delivery_seconds", "From a message's arrival to its hand-over to the hub",
                          metrics::latency_bounds());
    writer.on_commit([&](const chatlog::CommitStats& commit) {
        sent.add(commit.stored);
        rows.observe(static_cast<double>(commit.rows));
        seconds.observe(commit.commit_s);
        delivery.observe(commit.oldest_wait_s);
    });
}

}  // namespace supd::app
