// What the operations of chats work with.
#pragma once

#include "rules.hpp"

#include <supd/chats/chats.hpp>
#include <supd/db/database.hpp>
#include <supd/http/message.hpp>
#include <supd/ws/hub.hpp>

#include <functional>

namespace supd::chats {

struct Context {
    db::Database& database;
    ws::Hub& hub;
    http::RateLimiter& limiter;
};

/// What a change has done, for the hub and for who asked.
struct Changed {
    Events events;
    std::string json;  ///< empty: 204
    int status = 200;
    bool kept = true;  ///< as in http::Reply
};

// -- handle_chats.cpp
/// Makes the change in one transaction, publishes its events, replies.
asio::awaitable<http::Reply> reply_to(Context& context, std::function<Changed(db::Transaction&)> change);
/// The reply is the chat as the actor sees it then.
Changed with_chat(db::Transaction& tx, ChatId chat, UserId actor, Events events);
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
/// Inside the transaction: takes whom the change has added from the actor's pace, so that a repeat and a
/// refusal cost nothing. Throws 429, which takes the change back.
void charge_added(Context& context, UserId actor, const Events& events);
asio::awaitable<http::Reply> handle_list_members(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_list_reads(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_add_members(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_change_role(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_remove_member(Context& context, http::Request request);
asio::awaitable<http::Reply> handle_transfer(Context& context, http::Request request);

}  // namespace supd::chats
