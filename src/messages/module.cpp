#include "routes.hpp"

#include <supd/messages/messages.hpp>

namespace supd::messages {

Module::Module(db::Database& database, chatlog::Writer& writer, ws::Hub& hub, db::Replicas* replicas)
    : context_(new Context{database, writer, hub, replicas}) {}

Module::~Module() = default;

void Module::add_routes(http::Router& router) {
    for (const auto& row : kRoutes) {
        http::Route route;
        route.method = row.method;
        route.path = row.path;
        route.policy = http::Policy::user;
        route.limit = row.limit;
        route.operation = row.operation;
        route.body_limit = kBodyLimit;
        route.handler = [this, handle = row.handle](http::Request request) {
            return handle(*context_, std::move(request));
        };
        router.add(std::move(route));
    }
}

void Module::add_commands(ws::Commands& commands) {
    const auto add = [&](std::string_view type, std::string_view operation,
                         asio::awaitable<std::string> (*handle)(Context&, ws::Command)) {
        ws::CommandRow row;
        row.type = type;
        row.operation = operation;
        row.counted = true;
        row.ordered = [this, handle](ws::Command command) { return handle(*context_, std::move(command)); };
        commands.add(std::move(row));
    };
    ws::CommandRow message;
    message.type = "message";
    message.operation = "ws_send_message";
    message.counted = true;
    message.pipelined = [this](ws::Command command, std::function<void()> done) {
        on_message(*context_, std::move(command), std::move(done));
    };
    commands.add(std::move(message));
    add("edit", "ws_edit_message", on_edit);
    add("delete", "ws_delete_message", on_delete);
    add("reaction", "ws_react", on_reaction);
}

}  // namespace supd::messages
