#include "app.hpp"

#include "health.hpp"
#include "heartbeat.hpp"
#include "observe.hpp"
#include "observe_machine.hpp"
#include "options.hpp"
#include "periodic_jobs.hpp"
#include "trace_export.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/async/blocking_pool.hpp>
#include <supd/async/io_threads.hpp>
#include <supd/async/task_group.hpp>
#include <supd/base/log.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/chatlog/writer.hpp>
#include <supd/chats/chat.hpp>
#include <supd/chats/chats.hpp>
#include <supd/db/database.hpp>
#include <supd/db/migrator.hpp>
#include <supd/db/replicas.hpp>
#include <supd/http/idempotency.hpp>
#include <supd/http/limits.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/server.hpp>
#include <supd/jobs/job_metrics.hpp>
#include <supd/jobs/queue.hpp>
#include <supd/messages/messages.hpp>
#include <supd/metrics/metrics.hpp>
#include <supd/net/tls.hpp>
#include <supd/nodes/nodes.hpp>
#include <supd/presence/presence.hpp>
#include <supd/receipts/receipts.hpp>
#include <supd/sync/sync.hpp>
#include <supd/ws/endpoint.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>

namespace supd::app {
namespace {

constexpr std::chrono::milliseconds kTracePatience{2000};  // for what was still to be told
constexpr int kReconnectSpreadMs = 2000;  // not all clients at once, and back within three seconds

sync::ChatPage list_chats_by_id(db::Transaction& tx, base::UserId user, base::ChatId after,
                                std::size_t limit) {
    sync::ChatPage out;
    std::size_t bytes = 0;
    for (const auto& chat : chats::list_chats(tx, user, after, limit + 1)) {
        if (out.chats.size() == limit || bytes >= http::kPageBytes) {
            out.more = true;
            break;
        }
        std::string json;
        chats::append_chat_json(json, chat);
        bytes += json.size();
        out.chats.push_back(std::move(json));
        out.ids.push_back(chat.id);
    }
    return out;
}

jobs::Options job_options(trace::Tracer* tracer) {
    jobs::Options out;
    out.tracer = tracer;
    return out;
}

std::shared_ptr<net::TlsContext> certificate(const Config::Tls& tls) {
    if (tls.certificate.empty()) return nullptr;
    try {
        return std::make_shared<net::TlsContext>(tls.certificate, tls.key);
    } catch (const std::runtime_error& error) {
        throw ConfigError({error.what()});
    }
}

std::string bracketed(const std::string& host) {
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::uint16_t open_port(http::Server& server, const net::ListenerOptions& options,
                        std::shared_ptr<net::TlsContext> tls) {
    try {
        return server.listen(options, std::move(tls));
    } catch (const boost::system::system_error& error) {
        throw ListenError("cannot listen on " + bracketed(options.address) + ":" +
                          std::to_string(options.port) + ": " + error.code().message());
    }
}

}  // namespace

std::string_view version() noexcept {
    return SUPD_VERSION;
}

// Members in the order of construction; destroyed in reverse.
struct App::Parts {
    Config config;
    std::string url;
    metrics::Registry metrics{version(), commit()};
    std::unique_ptr<trace::Tracer> tracer;  // null without a collector
    async::IoThreads io;
    Heartbeat heartbeat{io};
    async::BlockingPool cpu{"cpu", cpu_limits()};
    db::Database database;
    db::Replicas replicas;
    chatlog::Reader reader;
    ws::Hub hub;
    std::unique_ptr<nodes::Nodes> nodes;  // null without Redis
    std::atomic<std::size_t> asked_to_look{0};
    chatlog::Writer writer;
    accounts::Revocations revocations;
    http::RateLimiter limiter;
    http::PostgresIdempotencyStore idempotency;
    accounts::Module accounts;
    chats::Module chats;
    messages::Module messages;
    receipts::Module receipts;
    base::SystemClock clock;
    presence::Module presence;
    sync::Module sync;
    std::unique_ptr<jobs::Observer> job_observer;
    jobs::Queue jobs;
    ws::Commands commands;
    ws::Endpoint endpoint;
    Health health;
    http::Router router;
    http::Router admin_router;
    http::Server server;
    http::Server admin;
    std::shared_ptr<net::TlsContext> tls;
    std::uint16_t port = 0;
    std::uint16_t admin_port = 0;
    bool started = false;
    async::TaskGroup tasks{"app"};

    Parts(Config c, std::string database_url)
        : config(std::move(c)),
          url(std::move(database_url)),
          tracer(config.trace.otlp_endpoint.empty() ? nullptr
                                                    : std::make_unique<trace::Tracer>(trace_options(config))),
          io(io_thread_count(config, url)),
          database(database_options(config, url)),
          replicas(replica_options(config)),
          reader(database),
          hub(io, reader),
          nodes(config.redis.url.empty() ? nullptr
                                         : std::make_unique<nodes::Nodes>(io, hub, redis_settings(config))),
          writer(io, hub, writer_options(url)),
          limiter(limit_options(config)),
          idempotency(database),
          accounts(database, cpu, limiter, revocations, accounts_config(config)),
          chats(database, hub, limiter),
          messages(database, writer, hub, replicas.empty() ? nullptr : &replicas),
          receipts(database, hub, io),
          presence(database, hub, io, clock, nodes ? &nodes->leases() : nullptr),
          sync(database, reader, hub, list_chats_by_id),
          job_observer(jobs::observe_with(metrics)),
          jobs(database, job_options(tracer.get()), job_observer.get()),
          endpoint(io, hub, accounts, commands, endpoint_options(config)),
          health(database, jobs, std::string(version()), db::embedded_migrations().back().version),
          server(io, router, server_options(config, "public"), services(true)),
          admin(io, admin_router, server_options(config, "admin"), services(false)) {
        accounts.add_routes(router);
        chats.add_routes(router);
        messages.add_routes(router);
        receipts.add_routes(router);
        sync.add_routes(router);
        health.add_routes(router);
        const auto all_numbers = numbers(database, cpu, writer, hub, endpoint, receipts);
        health.add_admin_routes(admin_router, metrics, reader, all_numbers);
        add_public_pages(router, config);
        messages.add_commands(commands);
        receipts.add_commands(commands);
        presence.add_commands(commands);
        presence.watch(endpoint);
        endpoint.limit_by(limiter);
        endpoint.set_catch_up(
            [this](std::shared_ptr<ws::Session> session, std::optional<std::string> cursor) {
                return sync.catch_up(std::move(session), std::move(cursor));
            });
        accounts.tell_by(hub);
        revocations.on_revoked([this](base::SessionId session) {
            hub.close_session(session, ws::CloseCode::unauthenticated, "session revoked");
        });
        server.on_upgrade(
            "/ws", [this](http::Request request, std::unique_ptr<net::Stream> stream, std::string rest) {
                return endpoint.upgrade(std::move(request), std::move(stream), std::move(rest));
            });
        messages.add_jobs(jobs);
        add_periodic_jobs(jobs, config);
        observe(metrics, all_numbers, writer, endpoint);
        observe_machine(metrics, config.server.data_dir);
        if (!replicas.empty()) observe(metrics, replicas);
        if (nodes) join_others();
        if (tracer) {
            endpoint.trace_by(*tracer);
            observe(metrics, *tracer);
        }
    }

    void join_others() {
        limiter.share_by(nodes->buckets());
        revocations.on_committed([this] { nodes->tell_revoked(); });
        nodes->on_revoked([this] {
            if (asked_to_look.fetch_add(1) == 0)
                tasks.spawn(io.context(0).get_executor(), look_for_revoked());
        });
        observe(metrics, *nodes);
    }

    boost::asio::awaitable<void> look_for_revoked() {
        for (;;) {  // one look at a time; who asks meanwhile gets one more
            const auto asked = asked_to_look.load();
            try {
                co_await revocations.load(database);
            } catch (const std::exception&) {  // the database is away; the poll says so and looks each second
            }
            if (asked_to_look.fetch_sub(asked) == asked) co_return;
        }
    }

    http::ServerServices services(bool is_public) {
        http::ServerServices out;
        out.authenticator = is_public ? &accounts : nullptr;
        out.limiter = is_public ? &limiter : nullptr;
        out.idempotency = is_public ? &idempotency : nullptr;
        out.metrics = &metrics;
        out.tracer = is_public ? tracer.get() : nullptr;
        return out;
    }
};

App::App(Config config, std::string database_url)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(database_url))) {}

App::~App() {
    if (parts_->started) stop();
}

void App::start() {
    auto& p = *parts_;
    p.tls = certificate(p.config.tls);
    if (p.tls) observe_certificate(p.metrics, p.tls);
    p.io.start();
    p.started = true;
    auto& first = p.io.context(0);
    boost::asio::co_spawn(first, p.revocations.load(p.database), boost::asio::use_future).get();
    const auto epoch = boost::asio::co_spawn(first, p.reader.check_origin(), boost::asio::use_future).get();
    p.hub.start();
    if (p.nodes) p.nodes->start(epoch);
    p.presence.start();
    p.writer.start();
    p.tasks.spawn(first.get_executor(), p.revocations.poll(p.database));
    p.jobs.start(first.get_executor());

    net::ListenerOptions listen;
    listen.address = p.config.server.host;
    listen.port = static_cast<std::uint16_t>(p.config.server.port);
    listen.max_connections = static_cast<std::size_t>(p.config.server.max_connections);
    listen.max_per_address = static_cast<std::size_t>(p.config.server.max_connections_per_address);
    for (const auto& text : p.config.server.trusted_proxies)
        if (auto network = net::Network::parse(text)) listen.uncapped.push_back(*network);
    net::ListenerOptions admin;
    admin.address = p.config.server.admin_host;
    admin.port = static_cast<std::uint16_t>(p.config.server.admin_port);
    p.admin_port = open_port(p.admin, admin, nullptr);
    p.port = open_port(p.server, listen, p.tls);
    p.health.set_ready(true);
}

std::string App::ready_line() const {
    const auto& p = *parts_;
    const auto shown = [](const std::string& host) {
        return host == "0.0.0.0" || host == "::" ? "127.0.0.1" : bracketed(host);
    };
    nlohmann::ordered_json line;
    line["event"] = "ready";
    line["url"] =
        (p.tls ? "https://" : "http://") + shown(p.config.server.host) + ":" + std::to_string(p.port);
    line["admin_url"] = "http://" + shown(p.config.server.admin_host) + ":" + std::to_string(p.admin_port);
    line["version"] = version();
    line["pid"] = getpid();
    return line.dump();
}

void App::stop() {
    auto& p = *parts_;
    if (!p.started) return;
    p.started = false;
    const auto until = base::Monotonic::now() + std::chrono::seconds(p.config.server.grace_s);
    p.health.set_ready(false);
    if (p.tracer) p.tracer->hurry(until);
    p.server.begin_drain();
    p.endpoint.drain(kReconnectSpreadMs);
    const bool finished = p.server.finish_drain(until - std::chrono::seconds(2));
    if (!finished) base::log::warn("drain_timed_out");
    p.endpoint.wait_closed(std::min(until, base::Monotonic::now() + std::chrono::seconds(3)));
    p.writer.stop();
    p.endpoint.stop();
    p.receipts.stop();
    p.presence.stop();
    p.hub.stop();
    if (p.nodes) p.nodes->stop();
    boost::asio::co_spawn(p.io.context(0), p.jobs.stop(std::chrono::seconds(3)), boost::asio::use_future)
        .get();
    p.tasks.cancel();
    p.tasks.wait();
    p.admin.stop();
    p.server.stop();
    // Connections and sessions end on their own threads; only then may what they use go.
    const bool dry = p.io.join_until(std::max(until, base::Monotonic::now() + std::chrono::seconds(1)));
    if (!dry) base::log::warn("io_threads_abandoned");
    if (p.tracer) p.tracer->stop(kTracePatience);
}

void App::reload_certificate() {
    auto& p = *parts_;
    if (p.tls) {
        const auto fault = p.tls->reload();
        if (!fault.empty()) base::log::error("tls_reload_failed", {{"error", fault}});
    }
}

bool App::io_threads_turn() {
    return parts_->heartbeat.beat();
}

const http::Router& App::routes() const {
    return parts_->router;
}
const ws::Commands& App::commands() const {
    return parts_->commands;
}

}  // namespace supd::app
