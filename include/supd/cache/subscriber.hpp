// Subscriptions on connections of their own. What is wanted is subscribed again after every loss (a restart,
// a cut because of Redis's output buffer, a silence of three pings, a slot that moved); messages of the time
// between are gone, so whoever listens must have another way to the truth.
#pragma once

#include <supd/cache/client.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace supd::cache {

/// Thread-safe. `client` must outlive it.
class Subscriber {
public:
    /// On home's thread.
    using OnMessage = std::function<void(std::string_view channel, std::string_view payload)>;

    Subscriber(Client& client, OnMessage on_message);
    /// Stops.
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    void start();
    /// Not on an io thread; before the client's.
    void stop();

    void want(std::string channel);
    void forget(std::string channel);

    std::size_t wanted() const noexcept;
    std::size_t subscribed() const noexcept;  ///< confirmed by Redis

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace supd::cache
