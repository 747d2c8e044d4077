// The hot path: plain messages, many per transaction. While one commit is in flight, sends queue; the next
// commit takes all that wait, up to kMaxBatchRows and kMaxBatchBytes. No timer: an idle server adds no
// latency, a busy one commits hundreds of messages per flush. One lane per database connection, the next used
// when those before it do not keep up; what waits of a chat is in one lane of a process, so its order of
// arrival is its order in the log.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/base/error.hpp>
#include <supd/chatlog/log.hpp>
#include <supd/trace/context.hpp>

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace supd::metrics {
class Registry;
}

namespace supd::chatlog {

inline constexpr std::size_t kMaxBatchRows = 200;
inline constexpr std::size_t kMaxBatchBytes = 1 << 20;
/// What may wait in one lane, and less while commits are slow; more is refused with 503 `overloaded`.
inline constexpr std::size_t kMaxQueuedRows = 20'000;
inline constexpr std::size_t kMaxQueuedBytes = 64 << 20;

class ChatLanes;

using Digest = std::array<std::uint8_t, 16>;

struct Draft {
    MessageId id;
    ChatId chat;
    UserId sender;
    DeviceId sender_device;
    std::uint64_t socket = 0;  ///< which gets no event for it; 0 for REST
    std::string type;
    std::optional<std::string> text;
    std::optional<MessageId> reply_to;
    std::string extra;  ///< JSON object or empty
    std::optional<int> expires_in_s;
    Digest digest{};  ///< of everything above that the client chose
};

enum class Outcome { stored, repeated, id_reused, not_found, forbidden, bad_reply, unknown, overloaded };

struct Receipt {
    Outcome outcome = Outcome::unknown;
    std::int64_t seq = 0;
    base::Millis created_at = 0;
};

/// Turns anything but stored/repeated into the error that the client gets.
void throw_unless_stored(const Receipt& receipt);

/// One commit, for metrics.
struct CommitStats {
    std::size_t rows = 0;
    double commit_s = 0;  ///< from sending the statement to its answer
    /// Of each message that was stored: from its arrival to its hand-over to the hub. Valid during the call.
    std::span<const double> delivery_s;
};

class Writer {
public:
    struct Options {
        std::string url;
        std::size_t lanes = 2;
    };
    Writer(async::IoThreads& threads, ws::Hub& hub, Options options);
    ~Writer();

    void start();
    /// Commits what is queued, then closes the connections. Call before the hub stops.
    void stop();

    /// `done` is called on the io thread that called submit, after COMMIT and after the hub was told, in the
    /// order of submission for one chat. `parent`: of the span from here to the answer. Io threads only.
    void submit(Draft draft, std::function<void(const Receipt&)> done, const trace::Context& parent = {});
    /// The same for a coroutine on an io thread.
    asio::awaitable<Receipt> append(Draft draft);

    std::size_t queued() const noexcept;
    /// Attempts to commit that failed, also for want of a connection; the batch is tried again or given up.
    std::uint64_t failures() const noexcept;
    /// Messages that were answered with `overloaded`.
    std::uint64_t refused() const noexcept;
    /// Called per commit on the lane's io thread. Before start().
    void on_commit(const std::function<void(const CommitStats&)>& observe);

private:
    class Lane;
    std::size_t lane_for(base::Monotonic::time_point now) const noexcept;

    std::unique_ptr<ChatLanes> chats_;  // outlives the lanes
    std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace supd::chatlog
