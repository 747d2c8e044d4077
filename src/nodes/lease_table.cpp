#include "lease_table.hpp"

#include "channels.hpp"
#include "renewals.hpp"
#include "window.hpp"

#include <supd/base/clock.hpp>
#include <supd/nodes/limits.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>

namespace supd::nodes {
namespace {

constexpr const char* kHold = R"(
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', ends) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
)";

constexpr const char* kRead = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, live = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
    local ends, value = string.match(all[i + 1], '^(%d+) (.*)$')
    if ends and tonumber(ends) > now then
        live[#live + 1] = all[i]
        live[#live + 1] = value
    else
        redis.call('HDEL', KEYS[1], all[i])
    end
end
return live
)";

std::string lease_milliseconds() {
    return std::to_string(std::chrono::milliseconds(kLease).count());
}

}  // namespace

LeaseTable::LeaseTable(asio::io_context& home, NodeId me, cache::Client& client, Interest& interest,
                       Tell tell)
    : home_(home),
      me_(me),
      client_(client),
      interest_(interest),
      tell_(std::move(tell)),
      hold_(std::make_shared<Script>(kHold)),
      read_(std::make_shared<Script>(kRead)),
      chance_(static_cast<std::minstd_rand::result_type>(me)) {}

void LeaseTable::start() {
    tasks_.spawn(home_.get_executor(), keep_up());
}

void LeaseTable::stop() {
    tasks_.cancel();
    tasks_.wait();
}

void LeaseTable::write(base::UserId user, const std::string& value) {
    hold_->run(client_, lease_key_of(user), {std::to_string(me_), value, lease_milliseconds()},
               [](const cache::Answer&) {});  // what was not written is renewed
}

// Who watches, and the other processes that serve the same user.
void LeaseTable::announce(base::UserId user, const std::string& value, bool released) {
    LeaseTold hint;
    hint.user = user;
    hint.released = released;
    hint.value = value;
    tell_(lease_key_of(user), hint);
    tell_(channel_of(user), hint);
}

void LeaseTable::hold(base::UserId user, std::string value) {
    {
        const std::lock_guard lock(mutex_);
        held_[user] = value;
    }
    write(user, value);
    announce(user, value, false);
}

void LeaseTable::rewrite(base::UserId user, std::string value) {
    {
        const std::lock_guard lock(mutex_);
        const auto at = held_.find(user);
        if (at == held_.end()) return;
        at->second = value;
    }
    write(user, value);
}

void LeaseTable::release(base::UserId user, std::string last_value) {
    {
        const std::lock_guard lock(mutex_);
        if (held_.erase(user) == 0) return;
    }
    const auto key = lease_key_of(user);
    client_.send(key, {"HDEL", key, std::to_string(me_)});
    announce(user, last_value, true);
}

void LeaseTable::watch(base::UserId user, bool begins) {
    interest_.follow(lease_key_of(user), begins);
}

void LeaseTable::take(NodeId from, const LeaseTold& hint) {
    if (!changed_) return;
    LeaseChange change;
    change.user = hint.user;
    change.lease.node = from;
    change.lease.value = hint.value;
    change.released = hint.released;
    changed_(change);
}

std::vector<Lease> LeaseTable::leases_of(const cache::Reply& reply) const {
    std::vector<Lease> out;
    for (std::size_t i = 0; i + 1 < reply.items.size(); i += 2) {
        Lease one;
        const auto& node = reply.items[i].text;
        std::from_chars(node.data(), node.data() + node.size(), one.node);
        one.value = reply.items[i + 1].text;
        if (one.node != me_) out.push_back(std::move(one));
    }
    return out;
}

asio::awaitable<std::vector<std::optional<std::vector<Lease>>>> LeaseTable::read(
    std::vector<base::UserId> users) {
    const auto all = std::make_shared<std::vector<std::optional<std::vector<Lease>>>>(users.size());
    if (users.empty()) co_return std::move(*all);
    const auto executor = co_await asio::this_coro::executor;
    auto start = [&](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        auto one = [this, all, users](std::size_t i, Window::Ended ended) {
            auto take = [this, all, i, ended = std::move(ended)](const cache::Answer& answer) {
                if (answer.ok()) (*all)[i] = leases_of(answer.reply);
                ended();
            };
            read_->run(client_, lease_key_of(users[i]), {}, std::move(take));
        };
        auto over = [shared, executor] { asio::post(executor, [shared] { std::move (*shared)(); }); };
        std::make_shared<Window>(users.size(), kLeaseReadsAtOnce, std::move(one), std::move(over))->run();
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
    co_return std::move(*all);
}

// Redis was away, or has forgotten everything: a key of our own says so.
asio::awaitable<bool> LeaseTable::interrupted() {
    const auto key = "supd:n:" + std::to_string(me_);
    cache::Words mark{"SET", key, "1", "PX", lease_milliseconds(), "XX", "GET"};
    const auto answer = co_await client_.ask(key, std::move(mark));
    if (!answer.ok()) co_return false;
    const auto connects = client_.counters().reconnects.load();
    const bool reconnected = std::exchange(connects_seen_, connects) != connects;
    if (answer.reply.kind == cache::Reply::Kind::text) co_return reconnected;
    cache::Words fresh{"SET", key, "1", "PX", lease_milliseconds()};
    co_await client_.ask(key, std::move(fresh));
    co_return true;
}

std::vector<std::pair<base::UserId, std::string>> LeaseTable::held(
    const std::function<bool(base::UserId)>& which) {
    std::vector<std::pair<base::UserId, std::string>> out;
    const std::lock_guard lock(mutex_);
    for (const auto& one : held_)
        if (which(one.first)) out.emplace_back(one);
    return out;
}

bool LeaseTable::still(base::UserId user, const std::string& value) {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(user);
    return at != held_.end() && at->second == value;
}

// Waits until Redis has taken what was sent before; of a cluster, the one that has the key. False: nothing
// can be sent. One of a cluster that is away does not keep the others from being written.
asio::awaitable<bool> LeaseTable::caught_up(base::UserId user) {
    auto key = lease_key_of(user);
    cache::Words ping{"PING"};
    const auto answer = co_await client_.ask(std::move(key), std::move(ping));
    co_return answer.ok() || client_.up();
}

asio::awaitable<bool> LeaseTable::renew(std::function<bool(base::UserId)> which) {
    const auto all = held(which);
    std::size_t sent = 0;
    for (const auto& [user, value] : all) {
        if (!still(user, value)) continue;  // changed and written meanwhile
        write(user, value);
        if (++sent % kLeaseCommandsAtOnce != 0) continue;
        const bool there = co_await caught_up(user);
        if (!there) co_return false;
    }
    co_return true;
}

asio::awaitable<bool> LeaseTable::tell_all() {
    const auto all = held([](base::UserId) { return true; });
    std::size_t sent = 0;
    for (const auto& [user, value] : all) {
        if (!still(user, value)) continue;
        announce(user, value, false);
        sent += 2;
        if (sent % kLeaseCommandsAtOnce != 0) continue;
        const bool there = co_await caught_up(user);
        if (!there) co_return false;
    }
    co_return true;
}

asio::awaitable<void> LeaseTable::keep_up() {
    asio::steady_timer timer(home_);
    Parts parts;
    TellAll telling;
    std::uniform_real_distribution<> chance(0, 1);
    for (;;) {
        timer.expires_after(kInterruptionCheck);
        co_await timer.async_wait(asio::use_awaitable);
        const bool again = co_await interrupted();
        parts.next();
        std::function<bool(base::UserId)> which = [parts, again](base::UserId user) {
            return again || parts.holds(std::hash<base::UserId>()(user));
        };
        // What is broken off is done after the next connect, which counts as an interruption.
        const bool written = co_await renew(std::move(which));
        if (again) telling.wanted(base::Monotonic::now(), chance(chance_));
        if (again && written) interruptions_.fetch_add(1);
        if (telling.take(base::Monotonic::now())) co_await tell_all();
    }
}

}  // namespace supd::nodes
