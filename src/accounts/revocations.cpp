#include "store_upkeep.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/accounts/revocations.hpp>
#include <supd/base/log.hpp>
#include <supd/crypto/access_token.hpp>
#include <supd/db/database.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace supd::accounts {
namespace {

// After this no access token of the session verifies, so nobody asks.
constexpr std::chrono::seconds kRemembered = kAccessTokenLifetime + crypto::kClockLeeway + kRevocationOverlap;

}  // namespace

std::size_t FilteredIds::bit_of(const base::Uuid& id) noexcept {
    base::SessionId key;
    key.bytes = id;
    return std::hash<base::SessionId>{}(key) % (kWords * 64);
}

bool FilteredIds::contains(const base::Uuid& id) const noexcept {
    const auto bit = bit_of(id);
    if (!(filter_[bit / 64].load(std::memory_order_acquire) & (std::uint64_t{1} << (bit % 64)))) return false;
    base::SessionId key;
    key.bytes = id;
    const std::lock_guard lock(mutex_);
    return ids_.contains(key);
}

bool FilteredIds::add(const base::Uuid& id, base::Monotonic::time_point until) {
    const auto bit = bit_of(id);
    base::SessionId key;
    key.bytes = id;
    const std::lock_guard lock(mutex_);
    const bool is_new = ids_.emplace(key, until).second;
    filter_[bit / 64].fetch_or(std::uint64_t{1} << (bit % 64), std::memory_order_release);
    return is_new;
}

// A bit of an id that stays is set before and after, so a reader that does not lock never misses one.
void FilteredIds::rebuild() {
    std::vector<std::uint64_t> words(kWords);
    for (const auto& [id, until] : ids_) {
        const auto bit = bit_of(id.bytes);
        words[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
    for (std::size_t i = 0; i < kWords; ++i)
        filter_[i].store(words[i], std::memory_order_release);
}

void FilteredIds::drop_older(base::Monotonic::time_point now) {
    const std::lock_guard lock(mutex_);
    if (std::erase_if(ids_, [now](const auto& entry) { return entry.second < now; }) > 0) rebuild();
}

bool FilteredIds::replace(const std::vector<base::Uuid>& ids) {
    std::unordered_map<base::SessionId, base::Monotonic::time_point> fresh;
    for (const auto& id : ids) {
        base::SessionId key;
        key.bytes = id;
        fresh.emplace(key, base::Monotonic::time_point::max());
    }
    const std::lock_guard lock(mutex_);
    if (fresh == ids_) return false;
    ids_ = std::move(fresh);
    rebuild();
    return true;
}

std::size_t FilteredIds::size() const {
    const std::lock_guard lock(mutex_);
    return ids_.size();
}

void Revocations::on_revoked(Listener listener) {
    listeners_.push_back(std::move(listener));
}

void Revocations::revoked(const std::vector<base::SessionId>& sessions) {
    note(sessions);
    if (committed_ && !sessions.empty()) committed_();
}

void Revocations::note(const std::vector<base::SessionId>& sessions) {
    const auto until = base::Monotonic::now() + kRemembered;
    for (const auto& session : sessions) {
        if (!revoked_.add(session.bytes, until)) continue;
        for (const auto& listener : listeners_)
            listener(session);
    }
}

asio::awaitable<void> Revocations::load(db::Database& database) {
    const auto since = seen_until_ms_;
    auto ask = [since](db::Transaction& tx) { return store::revoked_lately(tx, since, kRemembered); };
    const auto found = co_await database.transact(db::Access::read_only, ask);
    note(found.sessions);
    if (admins_.replace(found.admins)) base::log::info("administrators", {{"count", found.admins.size()}});
    // Rows carry the time of their UPDATE and appear at COMMIT, which may be later: look back each time.
    seen_until_ms_ = found.now_ms - std::chrono::milliseconds(kRevocationOverlap).count();
    revoked_.drop_older(base::Monotonic::now());
}

asio::awaitable<void> Revocations::poll(db::Database& database) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    bool away = false;
    while (true) {
        timer.expires_after(kRevocationPoll);
        co_await timer.async_wait(asio::use_awaitable);
        const bool was_away = std::exchange(away, true);
        try {
            co_await load(database);
            away = false;
        } catch (const std::exception& error) {
            if (!was_away) base::log::warn("revocations_unknown", {{"error", error.what()}});
        }
    }
}

}  // namespace supd::accounts
