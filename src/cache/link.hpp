// A connection to one Redis server that is made again whenever it is lost. Everything on its home thread but
// up(). Owned through shared_ptr; end() before it goes.
#pragma once

#include "connection.hpp"
#include "dial.hpp"

#include <supd/async/task_group.hpp>
#include <supd/base/clock.hpp>
#include <supd/cache/settings.hpp>

#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace supd::cache {

/// What all links of a client share.
struct Access {
    asio::io_context& home;
    Settings settings;
    std::shared_ptr<const net::TlsClient> tls;  ///< null = plain
    Counters& counters;
};

/// Where a server is now, or why nobody can tell.
struct Located {
    std::optional<Endpoint> endpoint;
    Trouble trouble;
};

class Link : public std::enable_shared_from_this<Link> {
public:
    using Done = std::function<void(Answer)>;
    struct Hooks {
        std::function<asio::awaitable<Located>()> locate;
        std::function<void()> up;
        std::function<void()> down;
        /// Set: a subscription. Every reply goes there but those of its own pings.
        std::function<void(Reply)> push;
    };

    Link(Access& access, Hooks hooks);

    /// Runs until the group is cancelled.
    void start(async::TaskGroup& tasks);
    bool up() const noexcept { return breaker_.closed(); }
    Breaker::State state() const noexcept { return breaker_.state(); }
    /// False: not taken, and `done` is not called.
    bool send(const Words& words, Done done);
    /// Ends the connection: what waits is lost, and a new one is made.
    void drop();
    /// The same, and no new one is made.
    void retire();

private:
    struct Waiting {
        base::Monotonic::time_point until;
        Done done;
    };

    asio::awaitable<void> run(std::shared_ptr<Link> self);
    asio::awaitable<bool> serve();
    asio::awaitable<Trouble> sign_in(std::shared_ptr<net::Stream> stream) const;
    bool lost(std::string reason);
    bool alive();
    void on_reply(Reply reply);
    void fail_waiting();

    Access& access_;
    Hooks hooks_;
    Breaker breaker_;
    std::shared_ptr<Connection> connection_;
    std::deque<Waiting> waiting_;
    asio::steady_timer timer_;
    bool retired_ = false;
    Trouble trouble_;                    // of the last attempt
    base::Monotonic::time_point since_;  // signed in
    base::Monotonic::time_point heard_;
    base::Monotonic::time_point next_ping_;
};

/// Uniform in [0, 1). Any thread.
double random_share();

}  // namespace supd::cache
