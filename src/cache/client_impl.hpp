// What the commands and the subscriptions of one Redis share: who is asked for which key.
#pragma once

#include "fleet.hpp"
#include "slots.hpp"

#include <supd/cache/client.hpp>

#include <atomic>
#include <functional>
#include <vector>

namespace supd::cache {

struct Client::Impl : std::enable_shared_from_this<Client::Impl> {
    Impl(asio::io_context& home, Settings settings);

    bool clustered() const noexcept { return access.settings.url.layout == Layout::cluster; }
    void start();

    // -- home's thread
    /// Endpoint() for layouts of one server; nothing while the cluster's slots are unknown.
    std::optional<Endpoint> owner(std::string_view key) const;
    void moved(std::uint16_t slot, const Endpoint& to);
    /// Asks the cluster for its slots soon.
    void look_again();
    asio::awaitable<Located> locate();

    struct Command {
        std::string key;
        Words words;
        Done done;
        std::size_t bytes = 0;
        int redirects = 0;
        bool message = false;  // of publish()
    };
    /// Any thread. False: refused.
    bool take(Command command);
    void dispatch(Command command);
    void give(const Endpoint& to, const std::shared_ptr<Command>& command);
    void answered(const std::shared_ptr<Command>& command, const Endpoint& by, Answer answer);
    void refuse(Command& command);

    asio::awaitable<Located> ask_sentinels();
    asio::awaitable<Located> next_seed();
    asio::awaitable<void> watch_topology();
    void ask_slots();

    Counters counters;
    Access access;
    std::atomic<std::size_t> links_up{0};
    std::atomic<std::size_t> waiting{0};
    std::atomic<std::size_t> waiting_bytes{0};

    SlotMap slots;
    Endpoint seed;  // which one the seeker is connected to
    std::size_t seed_index = 0;
    std::shared_ptr<Link> seeker;
    asio::steady_timer look_timer;
    bool look_soon = false;
    std::vector<std::function<void()>> on_topology;

    async::TaskGroup tasks{"redis"};
    Fleet fleet;
};

}  // namespace supd::cache
