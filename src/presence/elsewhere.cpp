// Presence over several processes: each holds a lease for whom it serves, and hears of those it watches.
#include "context.hpp"
#include "rounds.hpp"

#include <supd/presence/limits.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace supd::presence {
namespace {

base::Millis time_in(const std::string& value) {
    base::Millis out = 0;
    std::from_chars(value.data(), value.data() + value.size(), out);
    return out;
}

// The own lease must say the same as this process when it is read. Nobody need be told.
void repeat_adopted(Context& context, UserId user, const std::optional<Word>& before) {
    const auto now = context.board.word_of(user);
    if (before && now && *before != *now) context.leases->rewrite(user, value_of(*now));
}

void hear(Context& context, const nodes::LeaseChange& change) {
    std::optional<Notice> notice;
    if (change.released) {
        notice = context.board.gone_elsewhere(change.user, change.lease.node, time_in(change.lease.value));
    } else if (auto word = word_in(change.lease.value)) {
        const auto before = context.board.word_of(change.user);
        notice = context.board.said_elsewhere(change.user, change.lease.node, *word);
        repeat_adopted(context, change.user, before);
        // Whoever says less than is known here has not heard it; their answer is to adopt it.
        if (before && newer(*before, *word)) tell_elsewhere(context, change.user);
    }
    if (notice) tell(context.hub, *notice);
}

}  // namespace

void join_others(Context& context) {
    context.board.on_watched([&context](UserId user, bool begins) { context.leases->watch(user, begins); });
    context.leases->on_change([&context](const nodes::LeaseChange& change) { hear(context, change); });
}

void tell_elsewhere(Context& context, UserId user) {
    if (const auto word = context.board.word_of(user)) context.leases->hold(user, value_of(*word));
}

asio::awaitable<bool> read_elsewhere(Context& context, std::vector<UserId> users) {
    const auto all = co_await context.leases->read(users);
    bool known = true;
    for (std::size_t i = 0; i < users.size(); ++i) {
        known = known && all[i];
        if (!all[i]) continue;
        Board::Words words;
        for (const auto& lease : *all[i])
            if (auto word = word_in(lease.value)) words.emplace_back(lease.node, std::move(*word));
        const auto before = context.board.word_of(users[i]);
        if (const auto notice = context.board.read_elsewhere(users[i], words)) tell(context.hub, *notice);
        repeat_adopted(context, users[i], before);
    }
    co_return known;
}

asio::awaitable<void> settle(Context& context, UserId user) {
    std::vector<UserId> one{user};
    co_await read_elsewhere(context, std::move(one));
    if (const auto notice = context.board.settle(user)) tell(context.hub, *notice);
    tell_elsewhere(context, user);
}

asio::awaitable<void> keep_up(Context& context) {
    asio::steady_timer timer(context.threads.context(0));
    auto interruptions = context.leases->interruptions();
    Rounds rounds(base::Monotonic::now());
    for (;;) {
        timer.expires_after(kLookAgain);
        co_await timer.async_wait(asio::use_awaitable);
        const bool interrupted =
            std::exchange(interruptions, context.leases->interruptions()) != interruptions;
        const auto round = rounds.next(base::Monotonic::now(), interrupted);
        auto users = round == Round::missing ? context.board.take_missing()
                                             : context.board.watched_users(round == Round::elsewhere);
        bool complete = true;
        for (std::size_t at = 0; at < users.size(); at += kMaxWatched) {
            const auto from = users.begin() + static_cast<std::ptrdiff_t>(at);
            std::vector<UserId> some(
                from, from + static_cast<std::ptrdiff_t>(std::min(kMaxWatched, users.size() - at)));
            const bool answered = co_await read_elsewhere(context, std::move(some));
            complete = complete && answered;
        }
        if (!complete) rounds.failed(round, base::Monotonic::now());
        if (round == Round::missing) continue;
        // What has just been confirmed stays.
        for (const auto& notice : context.board.lapse())
            tell(context.hub, notice);
    }
}

}  // namespace supd::presence
