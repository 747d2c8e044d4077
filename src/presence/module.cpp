#include "context.hpp"

#include <supd/presence/presence.hpp>
#include <supd/ws/session.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace supd::presence {

Module::Module(db::Database& database, ws::Hub& hub, async::IoThreads& threads, base::Clock& clock,
               nodes::Leases* leases)
    : context_(new Context{database, hub, threads, leases, Board(clock)}) {
    if (leases) join_others(*context_);
}

Module::~Module() = default;

void Module::add_commands(ws::Commands& commands) {
    const auto add = [&](std::string_view type, std::string_view operation,
                         asio::awaitable<std::string> (*handle)(Context&, ws::Command)) {
        ws::CommandRow row;
        row.type = type;
        row.operation = operation;
        row.ordered = [this, handle](ws::Command command) { return handle(*context_, std::move(command)); };
        commands.add(std::move(row));
    };
    add("typing", "ws_typing", on_typing);
    add("presence", "ws_presence", on_presence);
    add("subscribe_presence", "ws_subscribe_presence", on_subscribe);
}

void Module::watch(ws::Endpoint& endpoint) {
    endpoint.on_connected([this](const std::shared_ptr<ws::Session>& session) {
        const auto& caller = session->caller();
        if (context_->leases) {
            if (context_->board.arrived(caller.user, caller.session))
                context_->tasks.spawn(context_->threads.context(0).get_executor(),
                                      settle(*context_, caller.user));
            return;
        }
        if (const auto notice = context_->board.connected(caller.user, caller.session))
            tell(context_->hub, *notice);
    });
    endpoint.on_disconnected([this](const http::Caller& caller) {
        context_->board.disconnected(caller.user, caller.session);
        if (!context_->expiring.exchange(true))
            context_->tasks.spawn(context_->threads.context(0).get_executor(), expire(*context_));
    });
}

void Module::start() {
    if (context_->leases)
        context_->tasks.spawn(context_->threads.context(0).get_executor(), keep_up(*context_));
}

void Module::stop() {
    context_->tasks.cancel();
    context_->tasks.wait();
}

asio::awaitable<void> expire(Context& context) {
    asio::steady_timer timer(context.threads.context(0));
    for (;;) {
        const auto next = context.board.next_expiry();
        if (!next) {
            context.expiring = false;
            // Someone may have left between the look and the word that nobody waits.
            if (!context.board.next_expiry() || context.expiring.exchange(true)) co_return;
            continue;
        }
        timer.expires_at(*next);
        co_await timer.async_wait(asio::use_awaitable);
        Board::Left left;
        for (const auto& notice : context.board.expire(&left))
            tell(context.hub, notice);
        if (!context.leases) continue;
        for (const auto& [user, last_seen] : left)
            context.leases->release(user, std::to_string(last_seen));
    }
}

}  // namespace supd::presence
