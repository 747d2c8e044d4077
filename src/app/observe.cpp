#include "observe.hpp"

#include <map>

namespace supd::app {
namespace {

void count_closes(metrics::Registry& metrics, ws::Endpoint& endpoint) {
    using enum ws::CloseCode;
    std::map<unsigned, metrics::Counter*> by_code;
    const auto add = [&](unsigned code) {
        by_code[code] = &metrics.counter("websocket_closes_total", "WebSockets that ended, by close code",
                                         {{"code", std::to_string(code)}});
    };
    for (const auto code : {normal, going_away, protocol_error, unsupported, bad_data, too_big, restart,
                            unauthenticated, forbidden, too_slow, replaced, rate_limited})
        add(static_cast<unsigned>(code));
    add(ws::Endpoint::kNoCloseFrame);
    endpoint.on_close([by_code = std::move(by_code)](unsigned code) {
        if (const auto at = by_code.find(code); at != by_code.end()) at->second->add();
    });
}

}  // namespace

std::vector<Number> numbers(db::Database& database, async::BlockingPool& cpu, chatlog::Writer& writer,
                            ws::Hub& hub, ws::Endpoint& endpoint, receipts::Module& receipts) {
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
        {"websocket_queued_frames", "Frames that wait in the queues of all sockets",
         [&] { return static_cast<double>(endpoint.queued().frames); }},
        {"websocket_queued_bytes", "Bytes that wait in the queues of all sockets",
         [&] { return static_cast<double>(endpoint.queued().bytes); }},
        {"receipts_pending", "Read and delivered marks that wait to be written",
         [&] { return static_cast<double>(receipts.pending()); }},
    };
}

void observe(metrics::Registry& metrics, const std::vector<Number>& numbers, chatlog::Writer& writer,
             ws::Endpoint& endpoint) {
    for (const auto& number : numbers)
        metrics.gauge_callback(number.name, number.help, number.now);
    metrics.counter_callback("commit_failures_total", "Attempts to commit a batch of messages that failed",
                             [&] { return static_cast<double>(writer.failures()); });
    metrics.counter_callback("messages_refused_total", "Messages refused with overloaded: too many wait",
                             [&] { return static_cast<double>(writer.refused()); });
    count_closes(metrics, endpoint);
    auto& sent = metrics.counter("messages_sent_total", "Messages stored");
    auto& rows = metrics.histogram("commit_batch_size", "Messages per commit", metrics::size_bounds(256));
    auto& seconds = metrics.histogram("commit_seconds", "Time of one batch from sending to COMMIT",
                                      metrics::latency_bounds());
    auto& delivery =
        metrics.histogram("message_delivery_seconds", "From a message's arrival to its hand-over to the hub",
                          metrics::latency_bounds());
    writer.on_commit([&](const chatlog::CommitStats& commit) {
        sent.add(commit.delivery_s.size());
        rows.observe(static_cast<double>(commit.rows));
        seconds.observe(commit.commit_s);
        for (const double wait : commit.delivery_s)
            delivery.observe(wait);
    });
}

void observe(metrics::Registry& metrics, const db::Replicas& replicas) {
    metrics.counter_callback("replica_reads_total", "Pages of history that a replica has answered",
                             [&] { return static_cast<double>(replicas.reads()); });
    metrics.counter_callback("replica_behind_total", "Pages that a replica lacked something of",
                             [&] { return static_cast<double>(replicas.behind()); });
    metrics.counter_callback("replica_failures_total", "Reads that a replica failed",
                             [&] { return static_cast<double>(replicas.failures()); });
}

void observe(metrics::Registry& metrics, const nodes::Nodes& nodes) {
    const auto gauge = [&](std::string_view name, std::string_view help, auto read) {
        metrics.gauge_callback(name, help,
                               [&nodes, read] { return static_cast<double>(read(nodes.numbers())); });
    };
    const auto counter = [&](std::string_view name, std::string_view help, auto nodes::Numbers::* number) {
        metrics.counter_callback(name, help,
                                 [&nodes, number] { return static_cast<double>(nodes.numbers().*number); });
    };
    using N = nodes::Numbers;
    gauge("redis_connected", "1 while commands are taken by Redis", [](const N& n) { return n.connected; });
    gauge("redis_breaker_open", "1 while Redis is not asked", [](const N& n) { return !n.connected; });
    gauge("redis_subscriptions", "Channels that Redis has confirmed",
          [](const N& n) { return n.subscriptions; });
    gauge("redis_subscriptions_wanted", "Channels that this process wants to hear",
          [](const N& n) { return n.subscriptions_wanted; });
    counter("redis_connects_total", "Connections made to Redis", &N::connects);
    counter("redis_commands_total", "Commands sent to Redis", &N::commands);
    counter("redis_failures_total", "Commands that Redis did not answer, or with an error", &N::failures);
    counter("redis_dropped_total", "Commands that were not sent: Redis away, or too much waiting",
            &N::dropped);
    counter("node_hints_published_total", "Hints handed to Redis for other processes", &N::published);
    counter("node_hints_untold_total", "Hints not handed to Redis: the sweeps of the others find it",
            &N::untold);
    counter("node_hints_received_total", "Hints of other processes", &N::received);
    counter("node_hints_unreadable_total", "Hints that could not be read", &N::unreadable);
}

void observe(metrics::Registry& metrics, const trace::Tracer& tracer) {
    metrics.counter_callback("trace_spans_exported_total", "Spans that the collector has taken",
                             [&] { return static_cast<double>(tracer.numbers().exported); });
    const auto dropped = [&](const char* reason, auto trace::Numbers::* number) {
        metrics.counter_callback("trace_spans_dropped_total", "Spans that were not told, by reason",
                                 [&tracer, number] { return static_cast<double>(tracer.numbers().*number); },
                                 {{"reason", reason}});
    };
    dropped("queue_full", &trace::Numbers::overflown);
    dropped("undelivered", &trace::Numbers::undelivered);
    dropped("refused", &trace::Numbers::refused);
}

}  // namespace supd::app
