// What the operations of messages work with.
#pragma once

#include <supd/messages/messages.hpp>

namespace supd::messages {

struct Context {
    db::Database& database;
    chatlog::Writer& writer;
    ws::Hub& hub;
};

// -- handle_messages.cpp
/// The query parameter `change_id`, or a new id when the client did not name one.
chatlog::ChangeId query_change_id(const http::Request& request);
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

// -- expire_messages.cpp
asio::awaitable<void> expire_due(Context& context);

// -- frames.cpp
void on_message(Context& context, ws::Command command, std::function<void()> done);
asio::awaitable<std::string> on_edit(Context& context, ws::Command command);
asio::awaitable<std::string> on_delete(Context& context, ws::Command command);
asio::awaitable<std::string> on_reaction(Context& context, ws::Command command);

}  // namespace supd::messages
