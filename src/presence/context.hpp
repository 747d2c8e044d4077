// What the operations of presence work with.
#pragma once

#include "board.hpp"

#include <supd/async/task_group.hpp>
#include <supd/presence/presence.hpp>

#include <atomic>

namespace supd::presence {

namespace asio = boost::asio;

struct Context {
    db::Database& database;
    ws::Hub& hub;
    async::IoThreads& threads;
    Board board;
    std::atomic<bool> expiring{false};
    async::TaskGroup tasks{"presence"};
};

void tell(ws::Hub& hub, const Notice& notice);
/// Runs while somebody is about to be offline.
asio::awaitable<void> expire(Context& context);

asio::awaitable<std::string> on_typing(Context& context, ws::Command command);
asio::awaitable<std::string> on_presence(Context& context, ws::Command command);
asio::awaitable<std::string> on_subscribe(Context& context, ws::Command command);

}  // namespace supd::presence
