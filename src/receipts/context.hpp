// What the operations of receipts work with.
#pragma once

#include "coalescer.hpp"

#include <supd/receipts/receipts.hpp>

namespace supd::receipts {

struct Context {
    db::Database& database;
    ws::Hub& hub;
    Coalescer coalescer;
};

/// Tells the chat's members (in large chats only the reader's devices) what moved.
void announce(ws::Hub& hub, const std::vector<Moved>& moved);

asio::awaitable<http::Reply> handle_read(Context& context, http::Request request);
asio::awaitable<std::string> on_mark(Context& context, ws::Command command, bool read);

}  // namespace supd::receipts
