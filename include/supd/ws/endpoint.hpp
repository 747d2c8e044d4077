// `/ws`: the upgrade (RFC 6455 section 4, Origin check, permessage-deflate offer) and the table of sessions
// of each io thread with its one-second tick (heartbeats, idle and authentication time-outs).
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/async/task_group.hpp>
#include <supd/http/message.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/router.hpp>
#include <supd/net/stream.hpp>
#include <supd/ws/commands.hpp>
#include <supd/ws/hub.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace supd::trace {
class Span;
class Tracer;
}  // namespace supd::trace

namespace supd::ws {

struct EndpointOptions {
    std::string server_name = "supd";
    std::string version;
    std::string limits_json = "{}";  ///< what hello and GET /server tell
    std::vector<std::string> origins;
    bool compression = true;
    std::chrono::seconds heartbeat{25};
    std::chrono::seconds idle_timeout{60};
    std::chrono::seconds authenticate_timeout{10};
    std::size_t queue_frames = 256;
    std::size_t queue_bytes = 1 << 20;
    double commands_per_second = 50;
    double command_burst = 200;
    bool limit_commands = true;
};

/// Brings a session up to date after authentication: implemented by sync. Called on the session's thread; the
/// hub has the session attached. Sends what was missed, `caught_up`, and calls Hub::hold and Hub::go_live.
/// Throws base::Error to refuse.
using CatchUp =
    std::function<asio::awaitable<void>(std::shared_ptr<Session>, std::optional<std::string> cursor)>;

class Endpoint {
public:
    Endpoint(async::IoThreads& threads, Hub& hub, const http::Authenticator& authenticator,
             const Commands& commands, EndpointOptions options);
    ~Endpoint();
    Endpoint(const Endpoint&) = delete;
    Endpoint& operator=(const Endpoint&) = delete;

    /// Authentications and commands that write are counted there, by user.
    void limit_by(http::RateLimiter& limiter) { limiter_ = &limiter; }
    /// Each command is a span, continuing the trace that the socket's upgrade named.
    void trace_by(trace::Tracer& tracer) { tracer_ = &tracer; }
    void set_catch_up(CatchUp catch_up) { catch_up_ = std::move(catch_up); }
    /// Told of sessions that come and go (presence). Session's io thread.
    void on_connected(std::function<void(const std::shared_ptr<Session>&)> call) {
        connected_.push_back(std::move(call));
    }
    void on_disconnected(std::function<void(const http::Caller&)> call) {
        disconnected_.push_back(std::move(call));
    }

    /// Told of the close code of each socket that ends; kNoCloseFrame when none was said. Before any comes.
    static constexpr unsigned kNoCloseFrame = 1006;
    void on_close(std::function<void(unsigned code)> call) { closed_ = std::move(call); }

    /// For http::Server::on_upgrade. Runs on the stream's io thread.
    int upgrade(http::Request request, std::unique_ptr<net::Stream> stream, std::string leftover);

    /// Refuses new sockets and says 1012 to all, retry hints spread over `spread_ms`.
    void drain(int spread_ms);
    /// Waits until the sockets are gone or `until`. Not on an io thread.
    void wait_closed(base::Monotonic::time_point until);
    /// Cuts what is left.
    void stop();

    std::size_t sockets() const noexcept;
    /// What waits in the queues of all sockets, as of the last second.
    struct Queued {
        std::size_t frames = 0;
        std::size_t bytes = 0;
    };
    Queued queued() const noexcept;
    const EndpointOptions& options() const noexcept { return options_; }

private:
    friend class Session;
    struct Shard;
    Shard& here();
    void forget(Session& session);
    void tick(Shard& shard);

    void admit(const http::Caller& caller) const;
    void admit_write(const http::Caller& caller) const;
    std::shared_ptr<trace::Span> begin_span(const Session& session, std::string_view command);

    Hub& hub_;
    const http::Authenticator& authenticator_;
    const Commands& commands_;
    EndpointOptions options_;
    http::RateLimiter* limiter_ = nullptr;
    trace::Tracer* tracer_ = nullptr;
    CatchUp catch_up_;
    std::vector<std::function<void(const std::shared_ptr<Session>&)>> connected_;
    std::vector<std::function<void(const http::Caller&)>> disconnected_;
    std::function<void(unsigned)> closed_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::atomic<std::uint64_t> next_socket_{1};
    std::atomic<bool> draining_{false};
    std::mutex gone_mutex_;
    std::condition_variable gone_;
};

}  // namespace supd::ws
