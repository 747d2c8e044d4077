// What makes several processes feel like one: hints over Redis about what each has committed, sent and whom
// it serves. All of it saves time only: with Redis away, a process finds by its sweep and its polls what the
// others did.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/base/ids.hpp>
#include <supd/cache/settings.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/nodes/leases.hpp>
#include <supd/ws/hub.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace supd::nodes {

struct Numbers {
    bool connected = false;
    std::uint64_t commands = 0;
    std::uint64_t failures = 0;
    std::uint64_t dropped = 0;    ///< commands not sent: the breaker was open, or too much waited
    std::uint64_t published = 0;  ///< hints handed to Redis
    std::uint64_t untold = 0;     ///< hints not handed to it, for the same reasons
    std::uint64_t received = 0;   ///< of other processes
    std::uint64_t unreadable = 0;
    std::uint64_t connects = 0;
    std::size_t subscriptions = 0;  ///< confirmed
    std::size_t subscriptions_wanted = 0;
};

/// Thread-safe. Construct before the hub starts; it relays the hub from then on.
class Nodes {
public:
    /// Throws std::runtime_error when the CA file cannot be read.
    Nodes(async::IoThreads& threads, ws::Hub& hub, cache::Settings settings);
    ~Nodes();
    Nodes(const Nodes&) = delete;
    Nodes& operator=(const Nodes&) = delete;

    /// `epoch` of the stream: only processes of the same one hear each other.
    void start(const base::Uuid& epoch);
    /// Not on an io thread, while the io threads still turn.
    void stop();

    /// After COMMIT: other processes look which sessions are dead.
    void tell_revoked();
    /// Before start(). Called on an io thread when another process has revoked sessions.
    void on_revoked(std::function<void()> call);

    /// For RateLimiter::share_by.
    http::SharedBuckets& buckets() noexcept;
    Leases& leases() noexcept;

    Numbers numbers() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::nodes
