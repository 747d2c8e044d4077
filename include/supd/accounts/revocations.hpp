// Which sessions are dead although their access tokens have not expired, and who is an administrator now.
// Asked on every request: contains() and is_admin() read one atomic word unless there is something to find.
// Filled by this process at once and by poll() with what other processes did, so a revoked session is refused
// here immediately and everywhere within two polls.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>

#include <boost/asio/awaitable.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace supd::db {
class Database;
}

namespace supd::accounts {

namespace asio = boost::asio;

/// Ids with a bit filter before them: most lookups are for ids that are not in it and touch one word.
/// Thread-safe.
class FilteredIds {
public:
    bool contains(const base::Uuid& id) const noexcept;
    /// False when it was there already. `until`: on the steady clock, when drop_older() may forget it.
    bool add(const base::Uuid& id, base::Monotonic::time_point until);
    void drop_older(base::Monotonic::time_point now);
    /// True when that changed anything.
    bool replace(const std::vector<base::Uuid>& ids);
    std::size_t size() const;

private:
    static constexpr std::size_t kWords = 4096;  // 32 KiB: one id in 262,144 hits by chance
    static std::size_t bit_of(const base::Uuid& id) noexcept;
    void rebuild();

    std::array<std::atomic<std::uint64_t>, kWords> filter_{};
    mutable std::mutex mutex_;
    std::unordered_map<base::SessionId, base::Monotonic::time_point> ids_;
};

class Revocations {
public:
    using Listener = std::function<void(base::SessionId)>;

    Revocations() = default;
    Revocations(const Revocations&) = delete;
    Revocations& operator=(const Revocations&) = delete;

    /// Before serving only. Called once for each session that dies, on whichever thread learns of it; must
    /// not block or throw (ws posts to the io threads and closes the session's sockets with 4401).
    void on_revoked(Listener listener);

    /// Before serving only. Called after each revocation that this process has committed itself (nodes tells
    /// the other processes to look); must not block or throw.
    void on_committed(std::function<void()> call) { committed_ = std::move(call); }

    bool contains(base::SessionId session) const noexcept { return revoked_.contains(session.bytes); }
    bool is_admin(base::UserId user) const noexcept { return admins_.contains(user.bytes); }

    /// After COMMIT of what revoked them. Any thread.
    void revoked(const std::vector<base::SessionId>& sessions);

    /// Loads what was revoked within the life of an access token. Call (and wait for) once before the daemon
    /// is ready; throws when the database is away.
    asio::awaitable<void> load(db::Database& database);
    /// Asks the database every kRevocationPoll until cancelled. A database that is away is asked again.
    asio::awaitable<void> poll(db::Database& database);

private:
    void note(const std::vector<base::SessionId>& sessions);

    FilteredIds revoked_;
    FilteredIds admins_;
    std::vector<Listener> listeners_;
    std::function<void()> committed_;
    base::Millis seen_until_ms_ = 0;  // database time; only load() and poll() touch it
};

}  // namespace supd::accounts
