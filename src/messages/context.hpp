// What the operations of messages work with.
#pragma once

#include "rules.hpp"

#include <supd/messages/messages.hpp>

#include <functional>

namespace supd::messages {

struct Context {
    db::Database& database;
    chatlog::Writer& writer;
    ws::Hub& hub;
    db::Replicas* replicas;  // null: there are none
};

// -- handle_messages.cpp
/// `limit` of a list.
std::size_t query_limit(const http::Request& request);
/// The caller and the message of the path; without a `change` of the client's a new id.
Act act_of(const http::Request& request, std::optional<ChangeId> change);
/// Runs the rule in one transaction and publishes its events.
asio::awaitable<Done> change(Context& context, std::function<Done(db::Transaction&)> rule);
/// The same, and the message as the actor sees it then.
asio::awaitable<Item> change_and_see(Context& context, Act act, std::function<Done(db::Transaction&)> rule);
asio::awaitable<http::Reply> handle_history(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_send(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_get(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_edit(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_delete(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_edits(Context& context, http::Request request);

// -- handle_reactions.cpp
asio::awaitable<http::Reply> handle_add_reaction(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_remove_reaction(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_list_reactions(Context& context, http::Request request);

// -- list_thread.cpp
asio::awaitable<http::Reply> list_thread(Context& context, http::Request request);

// -- expire_messages.cpp
asio::awaitable<void> expire_due(Context& context);

// -- frames.cpp
void on_message(Context& context, ws::Command command, std::function<void()> done);
asio::awaitable<std::string> on_edit(Context& context, ws::Command command);
asio::awaitable<std::string> on_delete(Context& context, ws::Command command);
asio::awaitable<std::string> on_reaction(Context& context, ws::Command command);

}  // namespace supd::messages
