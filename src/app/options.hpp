// What each module is told of the configuration.
#pragma once

#include "config.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/async/blocking_pool.hpp>
#include <supd/cache/settings.hpp>
#include <supd/chatlog/writer.hpp>
#include <supd/db/database.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/server.hpp>
#include <supd/ws/endpoint.hpp>

#include <string>
#include <vector>

namespace supd::app {

std::size_t io_thread_count(const Config& config, const std::string& database_url);
db::DatabaseOptions database_options(const Config& config, std::string url);
std::vector<db::DatabaseOptions> replica_options(const Config& config);
async::BlockingPool::Limits cpu_limits();
accounts::Config accounts_config(const Config& config);
http::RateLimitOptions limit_options(const Config& config);
ws::EndpointOptions endpoint_options(const Config& config);
http::ServerOptions server_options(const Config& config, std::string name);
cache::Settings redis_settings(const Config& config);
chatlog::Writer::Options writer_options(std::string url);

}  // namespace supd::app
