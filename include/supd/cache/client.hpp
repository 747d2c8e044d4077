// Commands for Redis (or Valkey): pipelined on one connection per server, each with a deadline, refused at
// once while there is none. Nothing that is asked here is the truth; a caller goes on without an answer.
// Layouts: one server, what sentinels name as the master, the masters of a cluster.
#pragma once

#include <supd/cache/reply.hpp>
#include <supd/cache/settings.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>

namespace supd::cache {

namespace asio = boost::asio;

/// Thread-safe.
class Client {
public:
    using Done = std::function<void(Answer)>;

    /// All of it lives on `home`'s thread. Throws std::runtime_error when the CA file cannot be read.
    Client(asio::io_context& home, Settings settings);
    /// Stops.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void start();
    /// Ends the connections; what waits is lost. Not on an io thread; `home` must still turn.
    void stop();

    /// False: every command would be refused now.
    bool up() const noexcept;
    /// Of the connection, or of the best one of a cluster.
    Breaker::State breaker() const noexcept;

    /// `key` decides who of a cluster is asked. `done` is called once, on home's thread, or at once on the
    /// caller's when the command is not sent. False: refused at once; true: it may still be refused, as
    /// `done` says then.
    bool send(std::string key, Words words, Done done = nullptr);
    asio::awaitable<Answer> ask(std::string key, Words words);
    /// PUBLISH, in a cluster SPUBLISH. Dropped, and counted as untold, when Redis is away or too much is
    /// waiting. As send() otherwise.
    bool publish(std::string channel, std::string payload);

    Counters& counters() noexcept;

    struct Impl;  ///< src/cache only
    Impl& impl() const noexcept { return *impl_; }

private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace supd::cache
