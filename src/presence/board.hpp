// The board: everybody who is connected to this process, what they say of themselves, what other processes
// say of whom is connected there, and who watches whom.
// Holds no sockets and sends nothing; every change returns what is to be told to whom. Thread-safe (one
// mutex, held briefly).
#pragma once

#include "word.hpp"

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/ws/hub.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace supd::presence {

using base::SessionId;
using base::UserId;

struct Presence {
    UserId user;
    Status status = Status::offline;
    std::string text;
    base::Millis last_seen = 0;  ///< of who is offline; 0 = not since this process started
    bool operator==(const Presence&) const = default;
};

/// What changed and who is to know.
struct Notice {
    Presence presence;
    std::vector<ws::Recipient> watchers;  ///< the sessions that asked, each once
};

class Board {
public:
    using Node = std::uint64_t;
    using Words = std::vector<std::pair<Node, Word>>;

    explicit Board(const base::Clock& clock) : clock_(clock) {}
    /// Before serving. Told when somebody gets the first watcher of this process and when the last goes; must
    /// not call back.
    void on_watched(std::function<void(UserId, bool)> call) { watched_ = std::move(call); }

    std::optional<Notice> connected(UserId user, SessionId session);
    /// The same, but whoever was not shown is not shown yet: true, and settle() is awaited.
    bool arrived(UserId user, SessionId session);
    /// Shows whoever has arrived and is still there, with the word that is known from elsewhere.
    std::optional<Notice> settle(UserId user);
    /// What this process says of somebody: nothing while they are not connected to it, or not shown yet.
    std::optional<Word> word_of(UserId user) const;

    /// Another process says so. Who is shown here too says the same from here on, if it is newer.
    std::optional<Notice> said_elsewhere(UserId user, Node node, Word word);
    std::optional<Notice> gone_elsewhere(UserId user, Node node, base::Millis last_seen);
    /// All that the other processes say of somebody, as far as it is written. A word that is missing may only
    /// have been wiped; still missing kReadMissing later it is gone. Whom this process shows says the newest.
    std::optional<Notice> read_elsewhere(UserId user, const Words& words);
    /// Whose words have been missing for so long, each once: they are to be read again.
    std::vector<UserId> take_missing();
    /// Forgets the words that nobody has confirmed for kForgetAfter: the other processes cannot be asked.
    std::vector<Notice> lapse();
    /// How they are now.
    std::vector<Presence> look(const std::vector<UserId>& users) const;
    /// Whether anything is known of them but that they are not here.
    bool known(UserId user) const;
    /// Who is watched; `elsewhere`: only of whom another process has said something.
    std::vector<UserId> watched_users(bool elsewhere) const;
    /// The person goes offline by expire(), kOfflineDelay later, unless they come back.
    void disconnected(UserId user, SessionId session);
    /// Those whose delay is over. `left`: all who are no longer connected to this process, and since when,
    /// whether somebody is to be told or not.
    using Left = std::vector<std::pair<UserId, base::Millis>>;
    std::vector<Notice> expire(Left* left = nullptr);
    /// When the next delay is over.
    std::optional<base::Monotonic::time_point> next_expiry() const;

    std::optional<Notice> say(UserId user, Status status, std::string text);
    /// Replaces whom the session watches; returns how they are now. Nothing when the session has gone.
    std::vector<Presence> watch(SessionId session, const std::vector<UserId>& users);
    /// Takes a token for a typing frame; false = drop it.
    bool may_type(SessionId session);
    /// Takes a token for a presence frame; false = refuse it.
    bool may_say(SessionId session);
    /// Takes a token for a subscribe_presence frame; false = refuse it.
    bool may_watch(SessionId session);
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
        Bucket watching;
        std::vector<UserId> watches;
    };
    struct Person {
        int sockets = 0;
        Word word;
        bool shown = false;  // others have been told of `word`
        bool said = false;   // before they were shown: settle() leaves it
        base::Millis last_seen = 0;
        base::Monotonic::time_point leaves{};
    };
    struct Elsewhere {
        Word word;
        base::Monotonic::time_point seen_at{};  // when somebody last confirmed it
        std::optional<base::Monotonic::time_point> missing_since;
        bool gone = false;
    };
    struct Leaving {
        base::Monotonic::time_point at;
        UserId user;
    };
    Person& count_in(UserId user, SessionId session);
    Presence presence_of(UserId user) const;
    const Word* newest_elsewhere(UserId user) const;
    bool minded(UserId user) const;
    bool adopt(UserId user, const Word& word);
    void outlive(UserId user, const Word& word);
    std::optional<Notice> notice(UserId user) const;
    std::optional<Notice> notice_unless(UserId user, const Presence& before) const;
    void note(UserId user, Node node, Word word);
    void unwatch(SessionId id, const std::vector<UserId>& users);

    const base::Clock& clock_;
    mutable std::mutex mutex_;
    std::unordered_map<SessionId, Session> sessions_;
    std::unordered_map<UserId, Person> people_;
    std::unordered_map<UserId, std::unordered_set<SessionId>> watchers_;
    std::unordered_map<UserId, std::map<Node, Elsewhere>> elsewhere_;
    std::unordered_map<UserId, base::Millis> last_seen_elsewhere_;  // of who is watched only
    std::deque<std::pair<base::Monotonic::time_point, UserId>> missing_;
    std::function<void(UserId, bool)> watched_;
    std::deque<Leaving> leaving_;
};

}  // namespace supd::presence
