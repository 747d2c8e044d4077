#include "health.hpp"

#include <supd/base/log.hpp>

#include <nlohmann/json.hpp>

#include <limits>
#include <typeinfo>

namespace supd::app {
namespace {

constexpr std::chrono::milliseconds kProbeKept{
    1000};  // probes are cheap to ask and must stay cheap to answer

constexpr std::chrono::milliseconds kProbePatience{3000};

using http::Limit;
using http::Policy;
using http::Reply;
using http::Request;

}  // namespace

Health::Health(db::Database& database, jobs::Queue& jobs, std::string version)
    : database_(database),
      jobs_(jobs),
      version_(std::move(version)),
      w_age_s_(std::numeric_limits<double>::quiet_NaN()) {}

// One question at a time, whoever asks meanwhile gets the last answer: during a stall probes must not fill
// the queue that they look at. A question without an answer for long is one.
asio::awaitable<Health::Probe> Health::probe() {
    const auto now = base::Monotonic::now();
    {
        const std::lock_guard lock(mutex_);
        const bool known = last_.at != base::Monotonic::time_point{};
        if (asking_ && now - asked_ >= kProbePatience) last_ = {false, now};
        if (known && (asking_ || now - last_.at < kProbeKept)) co_return last_;
        asking_ = true;
        asked_ = now;
    }
    Probe fresh;
    try {
        fresh.database = co_await database_.reachable();
    } catch (const std::exception& error) {
        base::log::error("probe_failed", {{"kind", typeid(error).name()}});
    }
    fresh.at = base::Monotonic::now();
    const std::lock_guard lock(mutex_);
    asking_ = false;
    last_ = fresh;
    co_return fresh;
}

asio::awaitable<Reply> Health::health(Request) {
    const auto now = co_await probe();
    const auto depth = jobs_.depth();
    const bool jobs_ok = depth.dead == 0;
    nlohmann::ordered_json out;
    out["status"] = !now.database ? "unhealthy" : jobs_ok && ready_ ? "healthy" : "degraded";
    out["version"] = version_;
    out["database"] = now.database ? "ok" : "unreachable";
    out["migrations"] = "current";  // the daemon does not start on any other schema
    out["jobs"] = jobs_ok ? "ok" : "dead_letters";
    out["uptime_s"] =
        std::chrono::duration_cast<std::chrono::seconds>(base::Monotonic::now() - started_).count();
    co_return Reply::json(out.dump(), now.database ? 200 : 503);
}

asio::awaitable<Reply> Health::readyz(Request) {
    const auto now = co_await probe();
    const char* reason = !ready_ ? "stopping" : !now.database ? "database" : nullptr;
    nlohmann::ordered_json out;
    out["ready"] = reason == nullptr;
    if (reason) out["reason"] = reason;
    co_return Reply::json(out.dump(), reason ? 503 : 200);
}

asio::awaitable<Reply> Health::livez(Request) {
    co_return Reply::json(std::string(R"({"alive":true})"));
}

void Health::add_routes(http::Router& router) {
    router.add({"GET", "/health", Policy::open, Limit::none, "get_health",
                [this](Request request) { return health(std::move(request)); }});
    router.add({"GET", "/livez", Policy::open, Limit::none, "get_livez",
                [this](Request request) { return livez(std::move(request)); }});
    router.add({"GET", "/readyz", Policy::open, Limit::none, "get_readyz",
                [this](Request request) { return readyz(std::move(request)); }});
}

// Asked of the database at each scrape; while it is away the metric is left out.
asio::awaitable<void> Health::measure_w_age(chatlog::Reader& reader) {
    double age = std::numeric_limits<double>::quiet_NaN();
    const auto now = co_await probe();
    try {
        if (now.database) age = co_await reader.w_age();
    } catch (const base::Error&) {
        age = std::numeric_limits<double>::quiet_NaN();
    }
    w_age_s_ = age;
}

asio::awaitable<Reply> Health::scrape(metrics::Registry& metrics, chatlog::Reader& reader) {
    co_await measure_w_age(reader);
    Reply out;
    out.content_type = "text/plain; version=0.0.4; charset=utf-8";
    out.body = metrics.expose();
    co_return out;
}

void Health::add_admin_routes(http::Router& router, metrics::Registry& metrics, chatlog::Reader& reader) {
    add_routes(router);
    metrics.gauge_callback("stream_w_age_seconds",
                           "Age of the oldest writing transaction: cursors cannot move past it",
                           [this] { return w_age_s_.load(); });
    router.add({"GET", "/metrics", Policy::open, Limit::none, "get_metrics",
                [this, &metrics, &reader](Request) { return scrape(metrics, reader); }});
}

}  // namespace supd::app
