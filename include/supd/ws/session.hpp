// One client socket after the upgrade. Everything on its io thread, by callbacks without a coroutine frame,
// so that an idle session costs its object and its socket. Owned by the endpoint's table; the hub points to
// it between attach and detach.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/http/message.hpp>
#include <supd/net/stream.hpp>
#include <supd/ws/commands.hpp>
#include <supd/ws/frame_decoder.hpp>
#include <supd/ws/hub.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace supd::ws {

class Endpoint;

class Session : public std::enable_shared_from_this<Session> {
public:
    Session(Endpoint& endpoint, std::unique_ptr<net::Stream> stream, bool deflate, std::uint64_t socket_id);
    ~Session();

    /// Starts reading; `leftover` are bytes that came with the upgrade request.
    void start(std::string leftover, std::optional<http::Caller> caller);

    // -- who
    // --------------------------------------------------------------------------------------------------
    /// Of this process, never 0, never twice.
    std::uint64_t socket_id() const noexcept { return socket_id_; }
    bool authenticated() const noexcept { return caller_.has_value(); }
    const http::Caller& caller() const noexcept { return *caller_; }

    // -- sending
    // ----------------------------------------------------------------------------------------------
    /// Queues a frame; written at the end of this turn of the loop together with what else is queued.
    void send(FramePtr frame);
    /// Left out, and false, when the client is slow: typing, marks.
    bool send_ephemeral(const FramePtr& frame);
    /// What is to be known of somebody now: presence. While the client is slow it waits beside the queue,
    /// where a newer one takes its place; more than kMaxLatest people there close the session as too slow.
    void send_latest(base::UserId about, FramePtr frame);
    /// What waits is older than what is being said in another way: the answer to a subscription.
    void forget_latest(base::UserId about);
    static constexpr std::size_t kMaxLatest = 1024;
    void send_json(std::string_view json) { send(make_frame(json)); }
    void send_ack(std::string_view ref, std::string_view data_json);
    void send_error(std::string_view ref, const base::Error& error);
    /// Close handshake: flushes the queue, sends the close frame, waits shortly for the peer's.
    void close(CloseCode code, std::string_view reason);
    /// Completes when at most half of the queue's bound is taken, or the session is closed (false).
    asio::awaitable<bool> room();
    bool open() const noexcept { return state_ == State::open; }
    /// The client has to call GET /sync and resume from there: it may do so at any time, and until then it is
    /// given no cursor, since a stored one would pass over what it lacks.
    void expect_resume() noexcept { resync_ = hub.no_cursor = true; }
    /// Says `authenticated`, once. To be called after Hub::hold(): what is committed when its client reads it
    /// is not missed.
    void welcome();
    /// To be awaited before caught_up: who authenticated by the header has a moment to resume from a cursor.
    /// False: it did, or the session is closed; the catch-up under way ends without a word.
    asio::awaitable<bool> settled();
    /// An entry of its own that it was given the ack of while it got no events: there is to be no event of
    /// it.
    void note_own(base::ChatId chat, std::int64_t seq);
    /// Whether the entry is one of those, which it is once.
    bool take_own(base::ChatId chat, std::int64_t seq);

    // -- the hub's own marks, touched by its shard only
    // ---------------------------------------------------------
    struct HubState {
        bool attached = false;
        bool held = false;  ///< subscribed, but still being told what it has missed
        bool live = false;
        bool news = false;          ///< something durable was queued since the last cursor frame
        bool no_cursor = false;     ///< its client lacks more than what comes from here on
        bool marks_missed = false;  ///< marks moved that it was not told of
        std::uint64_t arrival = 0;  ///< growing over all sessions: the newest of a device stays
        base::Millis came_ms = 0;   ///< its first attach, with a relay only
        base::Monotonic::time_point came{};
        std::uint64_t attachment = 0;  ///< counts its attach(): a resume is one more
        std::uint64_t generation = 0;  ///< of what the shard notes while it reads its snapshot
        std::size_t owed = 0;          ///< chats in which it lacks what came while it was held
        base::Monotonic::time_point cursor_sent{};
        std::uint64_t cursor_w = 0;       ///< of the last cursor that the client was given
        std::uint64_t subscribed_in = 0;  ///< the sweep during which it last got a new subscription
        std::vector<base::ChatId> chats;
        /// Of note_own(): chat and seq.
        std::vector<std::pair<base::ChatId, std::int64_t>> own;
        /// Joins that came before hold(): chat, and the last seq before it.
        std::vector<std::pair<base::ChatId, std::int64_t>> joins;
    };
    HubState hub;

private:
    friend class Endpoint;
    enum class State { open, closing, closed };

    void read_more();
    void on_readable(bool ok);
    void consume(std::span<char> data);
    void on_event(const FrameDecoder::Event& event);
    void on_text(std::string_view text);
    void authenticate(const std::string& ref, const nlohmann::json& data);
    void accept(http::Caller caller, const std::string& ref, std::optional<std::string> cursor,
                bool resume_follows);
    void run_command(const std::string& type, const std::string& ref,
                     const std::shared_ptr<nlohmann::json>& document);
    asio::awaitable<void> run_ordered(std::shared_ptr<Session> self, const CommandRow* row, Command command);
    asio::awaitable<void> catch_up(std::shared_ptr<Session> self, std::string ref,
                                   std::optional<std::string> cursor);
    void end_resume_wait();
    using Waiters = std::vector<std::function<void()>>;
    asio::awaitable<void> wait_in(Waiters* waiters);
    static void wake(Waiters& waiters);
    void unblock();
    bool take_token();

    void schedule_flush();
    void flush();
    bool roomy() const;
    bool overflowing() const;
    bool take_latest();
    void give_up_queue();
    void on_writable(bool ok);
    void finish();
    bool due(base::Monotonic::time_point now) const;
    void on_tick(base::Monotonic::time_point now);

    Endpoint& endpoint_;
    std::unique_ptr<net::Stream> stream_;
    FrameDecoder decoder_;
    std::uint64_t socket_id_;
    std::optional<http::Caller> caller_;
    State state_ = State::open;
    bool deflate_;

    std::shared_ptr<Session> reading_;  // keeps the session while a wait is outstanding
    std::shared_ptr<Session> writing_;
    bool flush_scheduled_ = false;
    bool catching_up_ = false;
    bool resume_allowed_ = false;
    bool resync_ = false;          // a resume is allowed whenever it comes
    bool resume_awaited_ = false;  // caught_up is not to be said yet: a cursor may come
    bool superseded_ = false;      // a resume waits for the catch-up under way to end
    bool blocked_ = false;         // an ordered command runs: input waits in held_
    int pipelined_ = 0;            // commands under way that answer by themselves
    std::function<void()> waiting_ordered_;
    std::string held_;
    std::string welcome_;  // of welcome(), until then

    std::vector<FramePtr> queue_;  // from head_ on; a deque would cost half a KiB per idle session
    std::size_t head_ = 0;
    std::size_t queue_bytes_ = 0;
    std::size_t head_offset_ = 0;  // bytes of the front frame that are written already
    using Latest = std::unordered_map<base::UserId, FramePtr>;
    std::unique_ptr<Latest> latest_;  // of send_latest(), while there is any
    Waiters room_waiters_;
    Waiters catch_up_waiters_;
    asio::steady_timer* resume_timer_ = nullptr;  // of settled(), while it waits

    base::Monotonic::time_point last_read_;
    base::Monotonic::time_point last_write_{};  // while writing_: when the socket last took something
    base::Monotonic::time_point deadline_;      // of authentication, then of the close handshake
    bool ping_sent_ = false;
    double tokens_;
    base::Monotonic::time_point tokens_at_;
    int refusals_ = 0;
};

}  // namespace supd::ws
