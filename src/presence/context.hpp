// What the operations of presence work with.
#pragma once

#include "board.hpp"

#include <supd/async/task_group.hpp>
#include <supd/nodes/leases.hpp>
#include <supd/presence/presence.hpp>

#include <atomic>

namespace supd::presence {

namespace asio = boost::asio;

struct Context {
    db::Database& database;
    ws::Hub& hub;
    async::IoThreads& threads;
    nodes::Leases* leases;  // null: this process is alone
    Board board;
    std::atomic<bool> expiring{false};
    async::TaskGroup tasks{"presence"};
};

void tell(ws::Hub& hub, const Notice& notice);
/// Runs while somebody is about to be offline.
asio::awaitable<void> expire(Context& context);

// -- of a process that is not alone
void join_others(Context& context);
/// Somebody came who was not here: with what the other processes know of them they are shown.
asio::awaitable<void> settle(Context& context, UserId user);
/// Tells the other processes what this one says of somebody now.
void tell_elsewhere(Context& context, UserId user);
/// Asks what the other processes say of these. False: of some it is not known.
asio::awaitable<bool> read_elsewhere(Context& context, std::vector<UserId> users);
/// Asks again of those who may have gone with their process, and of all after an interruption.
asio::awaitable<void> keep_up(Context& context);

asio::awaitable<std::string> on_typing(Context& context, ws::Command command);
asio::awaitable<std::string> on_presence(Context& context, ws::Command command);
asio::awaitable<std::string> on_subscribe(Context& context, ws::Command command);

}  // namespace supd::presence
