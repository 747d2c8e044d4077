#include "routes.hpp"

#include <supd/chats/chats.hpp>

namespace supd::chats {

Module::Module(db::Database& database, ws::Hub& hub, http::RateLimiter& limiter)
    : context_(new Context{database, hub, limiter}) {}

Module::~Module() = default;

void Module::add_routes(http::Router& router) {
    for (const auto& row : kRoutes) {
        http::Route route;
        route.method = row.method;
        route.path = row.path;
        route.policy = http::Policy::user;
        route.limit = http::Limit::api;
        route.operation = row.operation;
        route.body_limit = kBodyLimit;
        route.handler = [this, handle = row.handle](http::Request request) {
            return handle(*context_, std::move(request));
        };
        router.add(std::move(route));
    }
}

}  // namespace supd::chats
