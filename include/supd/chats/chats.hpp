// Chats: direct, group and channel, their members, roles, status, and each member's own settings. Owns the
// tables chats and chat_members. Every change is an entry of the chat's log, made under the chat's lock.
#pragma once

#include <supd/db/database.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/router.hpp>
#include <supd/ws/hub.hpp>

#include <memory>

namespace supd::chats {

namespace asio = boost::asio;

struct Context;

/// Construct, add routes; destroyed after the server has stopped. Thread-safe.
class Module {
public:
    Module(db::Database& database, ws::Hub& hub, http::RateLimiter& limiter);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    void add_routes(http::Router& router);

private:
    std::unique_ptr<Context> context_;
};

}  // namespace supd::chats
