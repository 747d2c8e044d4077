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

Health::Health(db::Database& database, jobs::Queue& jobs, std::string version, std::int64_t newest)
    : database_(database),
      jobs_(jobs),
      version_(std::move(version)),
      newest_(newest),
      w_age_s_(std::numeric_limits<double>::quiet_NaN()) {}

// One question at a time, whoever asks meanwhile gets the last answer: during a stall probes must not fill
// the queue that they look at. A question without an answer for long is one.
asio::awaitable<Health::Probe> Health::probe() {
    const auto now = base::Monotonic::now();
    {
        const std::lock_guard lock(mutex_);
        const bool known = last_.at != base::Monotonic::time_point{};
        if (asking_ && now - asked_ >= kProbePatience) {
            last_.database = {};
            last_.at = now;
        }
        if (known && (asking_ || now - last_.at < kProbeKept)) co_return last_;
        asking_ = true;
        asked_ = now;
    }
    Probe fresh;
    try {
        fresh.database = co_await database_.contact();
        if (fresh.database.reachable)
            fresh.backups = co_await database_.transact(db::Access::read_only, backup::ages);
    } catch (const std::exception& error) {
        base::log::error("probe_failed", {{"kind", typeid(error).name()}});
    }
    fresh.at = base::Monotonic::now();
    const std::lock_guard lock(mutex_);
    asking_ = false;
    if (fresh.database.reachable && !fresh.database.schema) fresh.database.schema = last_.database.schema;
    last_ = fresh;
    co_return fresh;
}

bool Health::fits(const Probe& probe) const {
    const auto& schema = probe.database.schema;
    return !schema || (schema->version >= newest_ && schema->compat <= newest_);
}

Reply Health::report(const Probe& probe, const nlohmann::ordered_json& detail) const {
    const bool usable = probe.database.reachable && fits(probe);
    const bool jobs_ok = jobs_.depth().dead == 0;
    const auto& schema = probe.database.schema;
    nlohmann::ordered_json out;
    out["status"] = !usable ? "unhealthy" : jobs_ok && ready_ ? "healthy" : "degraded";
    out["version"] = version_;
    out["database"] = probe.database.reachable ? "ok" : "unreachable";
    out["migrations"] = !schema                     ? "unknown"
                        : !fits(probe)              ? "incompatible"
                        : schema->version > newest_ ? "newer"
                                                    : "current";
    out["jobs"] = jobs_ok ? "ok" : "dead_letters";
    // Says how old, judges nothing: whether a day is too old is the alert's to know, and none is not ill.
    const auto seconds = [](const std::optional<double>& age) {
        return age ? nlohmann::ordered_json(static_cast<std::int64_t>(*age)) : nlohmann::ordered_json();
    };
    out["backup"] = {{"age_s", seconds(probe.backups.created)},
                     {"verified_age_s", seconds(probe.backups.verified)}};
    out["uptime_s"] =
        std::chrono::duration_cast<std::chrono::seconds>(base::Monotonic::now() - started_).count();
    if (!detail.is_null()) out["detail"] = detail;
    return Reply::json(out.dump(), usable ? 200 : 503);
}

asio::awaitable<Reply> Health::health(Request) {
    const auto now = co_await probe();
    co_return report(now, nullptr);
}

asio::awaitable<Reply> Health::health_in_detail(chatlog::Reader& reader) {
    co_await measure_w_age(reader);
    const auto now = co_await probe();
    const auto depth = jobs_.depth();
    const auto age = w_age_s_.load();
    nlohmann::ordered_json detail;
    for (const auto& number : numbers_)
        detail[number.name] = number.now();
    detail["jobs_ready"] = depth.ready;
    detail["jobs_running"] = depth.running;
    detail["jobs_dead"] = depth.dead;
    detail["jobs_oldest_age_seconds"] = depth.oldest_age_s;
    detail["stream_w_age_seconds"] = age;  // null: not known
    const auto& schema = now.database.schema;
    detail["schema_version"] = schema ? nlohmann::ordered_json(schema->version) : nlohmann::ordered_json();
    detail["schema_needed"] = newest_;
    co_return report(now, detail);
}

asio::awaitable<Reply> Health::readyz(Request) {
    const auto now = co_await probe();
    const char* reason = !ready_                   ? "stopping"
                         : !now.database.reachable ? "database"
                         : !fits(now)              ? "schema"
                                                   : nullptr;
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
    add_probes(router);
}

void Health::add_probes(http::Router& router) {
    router.add({"GET", "/livez", Policy::open, Limit::none, "get_livez",
                [this](Request request) { return livez(std::move(request)); }});
    router.add({"GET", "/readyz", Policy::open, Limit::none, "get_readyz",
                [this](Request request) { return readyz(std::move(request)); }});
}

double Health::backup_age(std::optional<double> backup::Ages::* which) {
    const std::lock_guard lock(mutex_);
    return (last_.backups.*which).value_or(std::numeric_limits<double>::quiet_NaN());
}

// Asked of the database at each scrape; while it is away the metric is left out.
asio::awaitable<void> Health::measure_w_age(chatlog::Reader& reader) {
    double age = std::numeric_limits<double>::quiet_NaN();
    const auto now = co_await probe();
    try {
        if (now.database.reachable) age = co_await reader.w_age();
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

void Health::add_admin_routes(http::Router& router, metrics::Registry& metrics, chatlog::Reader& reader,
                              std::vector<Number> numbers) {
    numbers_ = std::move(numbers);
    router.add({"GET", "/health", Policy::open, Limit::none, "get_health",
                [this, &reader](Request) { return health_in_detail(reader); }});
    add_probes(router);
    metrics.gauge_callback("stream_w_age_seconds",
                           "Age of the oldest writing transaction: cursors cannot move past it",
                           [this] { return w_age_s_.load(); });
    metrics.gauge_callback("backup_age_seconds", "Since the last backup; absent when there was none",
                           [this] { return backup_age(&backup::Ages::created); });
    metrics.gauge_callback("backup_verified_age_seconds",
                           "Since a backup was last proven by restoring it; absent when none was",
                           [this] { return backup_age(&backup::Ages::verified); });
    router.add({"GET", "/metrics", Policy::open, Limit::none, "get_metrics",
                [this, &metrics, &reader](Request) { return scrape(metrics, reader); }});
}

}  // namespace supd::app
