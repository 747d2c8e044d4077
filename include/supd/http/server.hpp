// HTTP/1.1 (RFC 9110, RFC 9112) over net::Stream: one coroutine per connection on the connection's io thread.
// Requests of a connection are answered one after the other, in order; ambiguous framing is 400 and the end
// of the connection. Whatever a handler throws becomes a problem (RFC 9457) here and nowhere else.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/async/task_group.hpp>
#include <supd/http/limits.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/router.hpp>
#include <supd/metrics/metrics.hpp>
#include <supd/net/listener.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace supd::trace {
class Tracer;
}

namespace supd::http {

class IdempotencyStore;
class ServerState;

struct ServerOptions {
    std::string name = "public";                ///< in logs
    std::vector<net::Network> trusted_proxies;  ///< whose X-Forwarded-For and X-Forwarded-Proto count
    std::vector<std::string> cors_origins;      ///< exact: "https://app.example"; never a wildcard
    bool access_log = true;                     ///< one line per request: ids and numbers, never the path
};

/// What the server asks while it answers. Pointers may be null: no authenticator = every token is refused, no
/// limiter = no limits, no idempotency = the header is ignored, no tracer = no traces. All must outlive the
/// server.
struct ServerServices {
    const Authenticator* authenticator = nullptr;
    RateLimiter* limiter = nullptr;
    IdempotencyStore* idempotency = nullptr;
    metrics::Registry* metrics = nullptr;
    trace::Tracer* tracer = nullptr;
};

/// Called on the connection's io thread with the request (no body), the connection, and bytes that the client
/// sent after the header. The callee writes the 101 (or a refusal) and owns the connection; nothing of HTTP
/// remains. Returns the status that it answers.
using UpgradeHandler = std::function<int(Request, std::unique_ptr<net::Stream>, std::string leftover)>;

class Server {
public:
    /// `router` must be complete, and outlive the server as `io` must.
    Server(async::IoThreads& io, const Router& router, ServerOptions options, ServerServices services);
    /// stop(); must not run on an io thread.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// For GET requests to exactly `path` with `Upgrade: websocket`; other requests there get 426. Before
    /// listen().
    void on_upgrade(std::string path, UpgradeHandler handler);

    /// Opens one more port and serves it at once; returns the port. `tls` null = plain.
    std::uint16_t listen(net::ListenerOptions options, std::shared_ptr<net::TlsContext> tls = nullptr);
    /// Serves a connection made elsewhere; on its io thread.
    void adopt(std::unique_ptr<net::Stream> stream);

    /// Graceful end: stops listening, closes idle connections, lets current requests finish with `Connection:
    /// close`. Returns at once; any thread.
    void begin_drain();
    /// Waits until no connection is left or `at`; then closes what remains. Not on an io thread. True = all
    /// finished.
    bool finish_drain(base::Monotonic::time_point at);
    /// begin_drain and close everything now, wait for handlers to return.
    void stop();

    std::size_t connections() const noexcept;

private:
    std::shared_ptr<ServerState> state_;
};

}  // namespace supd::http
