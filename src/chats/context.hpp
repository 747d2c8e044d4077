// What the operations of chats work with.
#pragma once

#include <supd/chats/chats.hpp>
#include <supd/db/database.hpp>
#include <supd/http/message.hpp>
#include <supd/ws/hub.hpp>

namespace supd::chats {

struct Context {
    db::Database& database;
    ws::Hub& hub;
};

// -- handle_chats.cpp
asio::awaitable<http::Reply> handle_list(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_create(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_get(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_edit(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_delete(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_archive(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_close(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_reopen(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_get_settings(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_edit_settings(Context& context, http::Request request);

// -- handle_members.cpp
asio::awaitable<http::Reply> handle_list_members(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_list_reads(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_add_members(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_change_role(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_remove_member(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_transfer(Context& context, http::Request request);

}  // namespace supd::chats
