// The board: everybody who is connected to this process, what they say of themselves, and who watches whom.
// Holds no sockets and sends nothing; every change returns what is to be told to whom. Thread-safe (one
// mutex, held briefly).
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace supd::presence {

using base::SessionId;
using base::UserId;

enum class Status { online, away, offline };

std::string_view name_of(Status status) noexcept;
std::optional<Status> status_named(std::string_view name) noexcept;

struct Presence {
    UserId user;
    Status status = Status::offline;
    std::string text;
    base::Millis last_seen = 0;  ///< of who is offline; 0 = not since this process started
};

/// What changed and who is to know.
struct Notice {
    Presence presence;
    std::vector<UserId> watchers;
};

class Board {
public:
    explicit Board(const base::Clock& clock) : clock_(clock) {}

    std::optional<Notice> connected(UserId user, SessionId session);
    /// The person goes offline by expire(), kOfflineDelay later, unless they come back.
    void disconnected(UserId user, SessionId session);
    /// Those whose delay is over.
    std::vector<Notice> expire();
    /// When the next delay is over.
    std::optional<base::Monotonic::time_point> next_expiry() const;

    std::optional<Notice> say(UserId user, Status status, std::string text);
    /// Replaces whom the session watches; returns how they are now. Nothing when the session has gone.
    std::vector<Presence> watch(SessionId session, const std::vector<UserId>& users);
    /// Takes a token for a typing frame; false = drop it.
    bool may_type(SessionId session);
    /// Takes a token for a presence frame; false = refuse it.
    bool may_say(SessionId session);
    std::size_t watched() const;

private:
    struct Bucket {
        float tokens = 0;
        std::optional<base::Monotonic::time_point> at;

        bool take(base::Monotonic::time_point now, double per_second, double burst);
    };
    struct Session {
        UserId user;
        int sockets = 0;  // a replaced socket may go after its successor came
        Bucket typing;
        Bucket saying;
        std::vector<UserId> watches;
    };
    struct Person {
        int sockets = 0;
        Status chosen = Status::online;
        bool shown = false;  // others have been told of `chosen`
        std::string text;
        base::Millis last_seen = 0;
        base::Monotonic::time_point leaves{};
    };
    struct Leaving {
        base::Monotonic::time_point at;
        UserId user;
    };
    Presence presence_of(UserId user) const;
    std::optional<Notice> notice(UserId user) const;
    void unwatch(SessionId id, const std::vector<UserId>& users);

    const base::Clock& clock_;
    mutable std::mutex mutex_;
    std::unordered_map<SessionId, Session> sessions_;
    std::unordered_map<UserId, Person> people_;
    std::unordered_map<UserId, std::unordered_set<SessionId>> watchers_;
    std::deque<Leaving> leaving_;
};

}  // namespace supd::presence
