#include "routes.hpp"

#include <supd/receipts/receipts.hpp>

namespace supd::receipts {

Module::Module(db::Database& database, ws::Hub& hub, async::IoThreads& threads)
    : context_(new Context{database, hub, Coalescer(database, threads, [&hub](const std::vector<Moved>& all) {
                               announce(hub, all);
                           })}) {}

Module::~Module() = default;

void Module::add_routes(http::Router& router) {
    for (const auto& row : kRoutes) {
        http::Route route;
        route.method = row.method;
        route.path = row.path;
        route.policy = http::Policy::user;
        route.limit = row.limit;
        route.operation = row.operation;
        route.handler = [this, handle = row.handle](http::Request request) {
            return handle(*context_, std::move(request));
        };
        router.add(std::move(route));
    }
}

void Module::add_commands(ws::Commands& commands) {
    for (const bool read : {true, false}) {
        ws::CommandRow row;
        row.type = read ? "read_receipt" : "delivered";
        row.operation = read ? "ws_mark_read" : "ws_mark_delivered";
        row.ordered = [this, read](ws::Command command) {
            return on_mark(*context_, std::move(command), read);
        };
        commands.add(std::move(row));
    }
}

std::size_t Module::pending() const {
    return context_->coalescer.pending();
}

void Module::stop() {
    context_->coalescer.stop();
}

}  // namespace supd::receipts
