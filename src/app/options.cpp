#include "options.hpp"

#include "app.hpp"
#include "health.hpp"

#include <supd/chats/limits.hpp>
#include <supd/crypto/password.hpp>
#include <supd/db/server.hpp>
#include <supd/net/address.hpp>

#include <algorithm>
#include <thread>

namespace supd::app {
namespace {

constexpr std::size_t kWriterLanes = 2;  // measured: more only adds latency (docs/benchmarks.md)
constexpr std::size_t kCpuQueue = 64;    // password hashes that may wait
// Who logs in is served or refused within two seconds.
constexpr std::chrono::milliseconds kCpuWait{1500};

}  // namespace

std::size_t io_thread_count(const Config& config, const std::string& database_url) {
    if (config.server.io_threads > 0) return static_cast<std::size_t>(config.server.io_threads);
    // PostgreSQL is busy while we are: with as many threads as cores they wake each other up from sleep.
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    return std::max<std::size_t>(1, db::is_local(database_url) ? cores - 1 : cores);
}

db::DatabaseOptions database_options(const Config& config, std::string url) {
    db::DatabaseOptions out;
    out.url = std::move(url);
    out.connections = static_cast<std::size_t>(config.database.pool_size);
    out.statement_timeout = std::chrono::seconds(config.database.statement_timeout_s);
    return out;
}

std::vector<db::DatabaseOptions> replica_options(const Config& config) {
    std::vector<db::DatabaseOptions> out;
    for (const auto& url : config.database.replica_urls) {
        out.push_back(database_options(config, url.reveal()));
        out.back().max_wait = std::chrono::milliseconds(200);  // the primary is there, too
    }
    return out;
}

async::BlockingPool::Limits cpu_limits() {
    async::BlockingPool::Limits out;
    out.threads = std::max(1U, std::thread::hardware_concurrency());
    out.queue = kCpuQueue;
    out.max_wait = kCpuWait;
    return out;
}

accounts::Config accounts_config(const Config& config) {
    accounts::Config out;
    out.secrets.emplace_back(config.auth.jwt_secret.reveal());
    for (const auto& secret : config.auth.jwt_previous_secrets)
        out.secrets.emplace_back(secret.reveal());
    out.issuer = config.name;
    out.password_profile = crypto::password_profile(config.auth.password_hash);
    out.registration_open = config.auth.registration == "open";
    return out;
}

http::RateLimitOptions limit_options(const Config& config) {
    http::RateLimitOptions out;
    const auto rule = [](std::int64_t per_minute, std::int64_t burst) {
        http::RateRule one;
        one.per_minute = static_cast<double>(per_minute);
        one.burst = static_cast<double>(burst);
        return one;
    };
    out.enabled = config.rate_limit.enabled;
    out.api = rule(config.rate_limit.api_per_minute, config.rate_limit.api_burst);
    out.auth = rule(config.rate_limit.auth_per_minute, config.rate_limit.auth_burst);
    out.message = rule(config.rate_limit.message_per_minute, config.rate_limit.message_burst);
    out.people = rule(chats::kPeopleAddedPerMinute, chats::kPeopleAddedBurst);
    return out;
}

ws::EndpointOptions endpoint_options(const Config& config) {
    ws::EndpointOptions out;
    out.server_name = config.name;
    out.version = version();
    out.limits_json = limits_json(config);
    out.origins = config.server.cors_origins;
    out.compression = config.websocket.compression;
    out.heartbeat = std::chrono::seconds(config.websocket.heartbeat_s);
    out.idle_timeout = std::chrono::seconds(config.websocket.idle_timeout_s);
    out.authenticate_timeout = std::chrono::seconds(config.websocket.authenticate_timeout_s);
    out.queue_frames = static_cast<std::size_t>(config.websocket.send_queue_frames);
    out.queue_bytes = static_cast<std::size_t>(config.websocket.send_queue_bytes);
    out.commands_per_second = static_cast<double>(config.rate_limit.message_per_minute) / 60;
    out.command_burst = static_cast<double>(config.rate_limit.message_burst);
    out.limit_commands = config.rate_limit.enabled;
    return out;
}

http::ServerOptions server_options(const Config& config, std::string name) {
    http::ServerOptions out;
    out.name = std::move(name);
    out.cors_origins = config.server.cors_origins;
    for (const auto& text : config.server.trusted_proxies)
        if (auto network = net::Network::parse(text)) out.trusted_proxies.push_back(*network);
    return out;
}

cache::Settings redis_settings(const Config& config) {
    cache::Settings out;
    out.url = cache::parse_url(config.redis.url.reveal());
    out.ca_file = config.redis.ca_file;
    return out;
}

chatlog::Writer::Options writer_options(std::string url) {
    chatlog::Writer::Options out;
    out.url = std::move(url);
    out.lanes = kWriterLanes;
    return out;
}

}  // namespace supd::app
