// The hub: who gets which bytes. It knows users, sessions, chats' subscribers and frames; never what a
// message is. One shard per io thread; a shard's tables are touched only by its thread, so there is no lock
// on the delivery path. Every public function may be called from any thread.
//
// Per chat with local subscribers a shard keeps the last delivered seq: next = deliver, older = drop, newer =
// wait for the missing ones, then read them from the log. A push is a hint, the log is the truth.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/ws/frame.hpp>

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace supd::ws {

namespace asio = boost::asio;

/// The channel of a user's own log. To the hub it is one more chat, which each session of the user follows
/// and nobody else. No chat has the id of a user: chats sees to that.
inline base::ChatId own_log(base::UserId user) noexcept {
    return {user.bytes};
}

/// A durable entry of a chat's log, or of a user's own, on its way to the subscribers.
struct ChatEvent {
    base::ChatId chat;
    std::int64_t seq = 0;
    FramePtr frame;
    /// Session::socket_id of who caused it: it has its ack and needs no event; 0 = nobody is left out. The
    /// socket, not the signed-in session: a device that has come back on another one has no ack.
    std::uint64_t skip = 0;
    /// Whose subscription begins (they get this event) and ends (they get this event and nothing after).
    std::vector<base::UserId> joined;
    std::vector<base::UserId> left;
};

/// By whose id marks are counted: the chat's, or in larger chats, where a mark is told to its own user only,
/// the user's.
using MarkOwner = base::Id<struct MarkOwnerTag>;

/// A read or delivered mark on its way to the chat's subscribers, or to one user of them only.
struct Mark {
    base::ChatId chat;
    base::UserId only;
    FramePtr frame;
};

/// One signed-in session of somebody.
struct Recipient {
    base::UserId user;
    base::SessionId session;
    auto operator<=>(const Recipient&) const = default;
};

/// Where a shard reads what it has not been told. Implemented by chatlog. Runs on io threads.
class LogSource {
public:
    virtual ~LogSource() = default;
    struct Head {
        base::ChatId chat;
        std::int64_t last_seq;
    };
    struct Joined {
        base::UserId user;
        base::ChatId chat;
        std::int64_t from_seq;
    };
    struct MarkHead {
        MarkOwner owner;
        std::int64_t version;  ///< grows by one with each transaction that moves marks of the owner
    };
    struct MarksOf {
        base::UserId user;
        std::uint64_t since_w;
    };
    struct Sweep {
        std::uint64_t w = 0;          ///< entries of all transactions below are visible in this snapshot
        std::string cursor;           ///< the token that resumes from w
        std::vector<Head> heads;      ///< of the asked chats and users, those that moved since the last w
        std::vector<Joined> joined;   ///< memberships of the asked users that began since the last w
        std::vector<MarkHead> marks;  ///< of the asked chats and users, those that moved since the last w
    };
    struct Page {
        std::vector<ChatEvent> events;
        bool more = false;  ///< the page was cut: there are entries behind it
    };
    /// The next entries with after < seq, ascending: a page bounded in rows and bytes.
    virtual asio::awaitable<Page> read(base::ChatId chat, std::int64_t after) = 0;
    /// Read and delivered marks that each of the users should know of and that moved since, as frames (JSON).
    virtual asio::awaitable<std::vector<std::vector<std::string>>> marks(std::vector<MarksOf> users) = 0;
    /// The marks of these owners that moved since.
    virtual asio::awaitable<std::vector<Mark>> marks_of(std::vector<MarkOwner> owners,
                                                        std::uint64_t since_w) = 0;
    virtual asio::awaitable<Sweep> sweep(std::uint64_t since_w, std::vector<base::ChatId> chats,
                                         std::vector<base::UserId> users) = 0;
};

class Session;
class Relay;

enum class CloseCode : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported = 1003,
    bad_data = 1007,
    too_big = 1009,
    restart = 1012,
    unauthenticated = 4401,
    forbidden = 4403,
    too_slow = 4408,
    replaced = 4409,
    rate_limited = 4429,
};

/// The hub's times; tests give others.
struct HubOptions {
    std::chrono::milliseconds gap_patience{100};  ///< then what is missing is read
    std::chrono::milliseconds sweep_pause{1000};
    /// What is committed is on its way here and needs no reading; only what has not come by then is.
    std::chrono::milliseconds in_flight{250};
    std::chrono::milliseconds cursor_every{10'000};
};

class Hub {
public:
    Hub(async::IoThreads& threads, LogSource& log, HubOptions options = {});
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    /// Before start(), if at all: without a relay this process is alone with its database.
    void relay_by(Relay& relay);
    void start();
    /// Stops sweeps and gap reads; completes when none is left. Sessions are closed by close_all before.
    void stop();

    /// Hands committed entries to all shards. Entries of one chat may come in any order and more than once.
    void publish(std::vector<ChatEvent> events);

    /// Ephemeral: to every session of the chat's subscribers except one user's; never replayed.
    void send_to_chat(base::ChatId chat, FramePtr frame, base::UserId except);
    /// All marks of the owner that one transaction moved. Who cannot take them now is told by a later sweep,
    /// as everybody is when a version was left out.
    void send_marks(LogSource::MarkHead head, std::vector<Mark> marks);
    /// To these sessions and no other ones of their users: what is to be known of somebody now. Of several
    /// such frames a slow session may get only the one that was handed in last.
    void send_latest(std::vector<Recipient> recipients, base::UserId about, FramePtr frame);
    /// What another process has published, sent, marked, attached: given to who is here, told to no relay.
    void receive_events(std::vector<ChatEvent> events);
    void receive_chat_frame(base::ChatId chat, FramePtr frame, base::UserId except);
    void receive_marks(LogSource::MarkHead head, std::vector<Mark> marks);
    /// Closes the device's sockets of this process, unless one came at about the same time and wins the tie
    /// (the later, or with `wins_ties`): then the other process is told so.
    void receive_device(base::UserId user, base::DeviceId device, base::Millis at, bool wins_ties);

    /// Closes the session's socket with code and reason.
    void close_session(base::SessionId session, CloseCode code, std::string reason);

    /// Sessions that are authenticated now, all shards.
    std::size_t connected() const noexcept;

    // -- called on the session's own io thread --------------------------------------------------------------
    /// First step: the session is known, its snapshot is about to be read.
    void attach(const std::shared_ptr<Session>& session);
    /// Second step: `chats` are the chats of the snapshot of `w`, and the user's own log, each with its last
    /// seq. From here on the hub notes what the session does not get yet.
    void hold(Session& session, const std::vector<LogSource::Head>& chats, std::uint64_t w);
    /// Last step: the session has been sent everything up to the heads of hold(). What came since is read
    /// from the log, chat by chat, before anything newer of that chat.
    void go_live(const std::shared_ptr<Session>& session);
    void detach(Session& session);
    /// The session is live and gets this chat's events: a cheap answer to "is it a member", as fresh as
    /// delivery.
    bool subscribed(Session& session, base::ChatId chat);

    class Shard;

private:
    Shard& here();
    void post_events(const std::shared_ptr<const std::vector<ChatEvent>>& events);
    void post_marks(const LogSource::MarkHead& head, const std::shared_ptr<const std::vector<Mark>>& marks);
    std::vector<std::unique_ptr<Shard>> shards_;
    Relay* relay_ = nullptr;
    std::atomic<std::uint64_t> next_arrival_{1};
};

}  // namespace supd::ws
