#include "client_impl.hpp"

#include <supd/base/log.hpp>
#include <supd/cache/subscriber.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace supd::cache {
namespace {

constexpr std::size_t kChannelsPerCommand = 200;
constexpr std::chrono::milliseconds kRetry{1000};  // after a refusal, and up to as much again at random

}  // namespace

struct Subscriber::Impl : std::enable_shared_from_this<Subscriber::Impl> {
    struct Channel {
        std::optional<Endpoint> at;  // where it was subscribed; nothing = nowhere
        bool confirmed = false;
        bool redirected = false;  // followed at once since the last retry; the next one waits for it
    };

    Impl(Client::Impl& shared, OnMessage call)
        : client(shared),
          on_message(std::move(call)),
          fleet(client.access, tasks,
                {.up = [this](const Endpoint& endpoint) { subscribe_at(endpoint); },
                 .down = [this](const Endpoint& endpoint) { lost(endpoint); },
                 .push = [this](const Endpoint& from, Reply reply) { on_push(from, std::move(reply)); },
                 .locate = [this] { return client.locate(); }}) {}

    void start() {
        const std::weak_ptr<Impl> weak = weak_from_this();
        client.on_topology.push_back([weak] {
            if (const auto self = weak.lock()) self->follow_topology();
        });
        if (!client.clustered()) fleet.to(Endpoint());
    }

    void change(std::string channel, bool wanted) {
        {
            const std::lock_guard lock(mutex);
            changes.emplace_back(std::move(channel), wanted);
            if (std::exchange(posted, true)) return;
        }
        asio::post(client.access.home, [self = shared_from_this()] { self->apply(); });
    }

    void apply() {
        std::vector<std::pair<std::string, bool>> all;
        {
            const std::lock_guard lock(mutex);
            all.swap(changes);
            posted = false;
        }
        std::map<Endpoint, std::vector<std::string>> fresh;
        std::map<Endpoint, std::vector<std::string>> gone;
        const auto flush = [&] {  // in the order of the changes: the same channel may stand in both
            for (auto& [endpoint, names] : std::exchange(gone, {}))
                say(endpoint, false, names);
            for (auto& [endpoint, names] : std::exchange(fresh, {}))
                say(endpoint, true, names);
        };
        for (auto& [name, wanted] : all) {
            if (!wanted) {
                const auto at = channels.find(name);
                if (at == channels.end()) continue;
                if (at->second.confirmed) confirmed.fetch_sub(1);
                if (!fresh.empty()) flush();
                if (at->second.at) gone[*at->second.at].push_back(name);
                channels.erase(at);
            } else if (channels.try_emplace(name).second) {
                const auto owner = client.owner(name);
                if (!owner || !fleet.to(*owner).up()) continue;  // when it is up it subscribes all
                channels[name].at = owner;
                fresh[*owner].push_back(name);
            }
        }
        flush();
        total.store(channels.size());
    }

    void say(const Endpoint& endpoint, bool subscribe, const std::vector<std::string>& names) {
        const bool sharded = client.clustered();
        const std::string verb = std::string(sharded ? "S" : "") + (subscribe ? "SUBSCRIBE" : "UNSUBSCRIBE");
        // Channels of one command of a cluster would have to share a slot.
        const std::size_t most = sharded ? 1 : kChannelsPerCommand;
        for (std::size_t i = 0; i < names.size();) {
            Words words{verb};
            for (; i < names.size() && words.size() <= most; ++i)
                words.push_back(names[i]);
            fleet.to(endpoint).send(words, nullptr);
        }
    }

    void subscribe_at(const Endpoint& endpoint) {
        std::vector<std::string> names;
        for (auto& [name, channel] : channels) {
            if (channel.at || client.owner(name) != endpoint) continue;
            channel.at = endpoint;
            names.push_back(name);
        }
        say(endpoint, true, names);
    }

    void lost(const Endpoint& endpoint) {
        for (auto& [name, channel] : channels)
            if (channel.at == endpoint) leave(channel);
        if (client.clustered()) client.look_again();
    }

    void leave(Channel& channel) {
        if (std::exchange(channel.confirmed, false)) confirmed.fetch_sub(1);
        channel.at = std::nullopt;
    }

    void follow_topology() {
        fleet.keep_only(client.slots.masters());
        std::map<Endpoint, std::vector<std::string>> moved_away;
        for (auto& [name, channel] : channels) {
            const auto owner = client.owner(name);
            if (!channel.at || channel.at == owner) continue;
            moved_away[*channel.at].push_back(name);
            leave(channel);
        }
        const auto& masters = client.slots.masters();
        for (const auto& [endpoint, names] : moved_away)
            if (std::ranges::find(masters, endpoint) != masters.end()) say(endpoint, false, names);
        subscribe_everywhere();
    }

    void subscribe_everywhere() {
        auto all = client.slots.masters();
        if (!client.clustered()) all = {Endpoint()};
        for (const auto& endpoint : all)
            if (fleet.to(endpoint).up()) subscribe_at(endpoint);
    }

    // What was refused (no rights yet, a slot that nobody serves, nodes that name each other) is asked for
    // again while the link stays.
    void retry_later() {
        if (std::exchange(retrying, true)) return;
        tasks.spawn(client.access.home.get_executor(), retry());
    }

    asio::awaitable<void> retry() {
        asio::steady_timer pause(client.access.home);
        pause.expires_after(
            kRetry + std::chrono::milliseconds(static_cast<int>(random_share() * double(kRetry.count()))));
        auto [error] = co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) co_return;  // stopped
        retrying = false;
        for (auto& [name, channel] : channels)
            channel.redirected = false;
        subscribe_everywhere();
    }

    void on_push(const Endpoint& from, Reply reply) {
        if (reply.kind == Reply::Kind::error) return on_error(from, reply);
        if (reply.items.size() != 3) return;  // a pong
        const auto& kind = reply.items[0].text;
        if (kind == "message" || kind == "smessage") {
            client.counters.received.fetch_add(1, std::memory_order_relaxed);
            return on_message(reply.items[1].text, reply.items[2].text);
        }
        const auto at = channels.find(reply.items[1].text);
        if (at == channels.end()) return;
        const bool added = kind == "subscribe" || kind == "ssubscribe";
        // A refusal does not say of which channel: others of the same turn are confirmed after it.
        if (added && !at->second.at && client.owner(at->first) == from) at->second.at = from;
        if (at->second.at != from) return;
        if (added) {
            if (!std::exchange(at->second.confirmed, true)) confirmed.fetch_add(1);
        } else if (kind == "sunsubscribe" && at->second.confirmed) {
            leave(at->second);  // not asked for: the slot has moved
            client.look_again();
        }
    }

    void on_error(const Endpoint& from, const Reply& reply) {
        if (const auto redirect = redirect_of(reply, from)) return follow(*redirect);
        if (!retrying)  // else one line for each channel
            base::log::warn("redis_refused", {{"code", code_of(reply)}});
        for (auto& [name, channel] : channels)
            if (channel.at == from && !channel.confirmed) leave(channel);
        retry_later();
    }

    void follow(const Redirect& redirect) {
        bool at_once = false;
        for (auto& [name, channel] : channels) {
            if (!channel.at || slot_of(name) != redirect.slot) continue;
            leave(channel);
            if (!std::exchange(channel.redirected, true)) at_once = true;
        }
        client.moved(redirect.slot, redirect.to);
        if (at_once && fleet.to(redirect.to).up()) subscribe_at(redirect.to);
        retry_later();
    }

    Client::Impl& client;
    OnMessage on_message;
    std::unordered_map<std::string, Channel> channels;
    std::atomic<std::size_t> confirmed{0};
    std::atomic<std::size_t> total{0};
    std::mutex mutex;
    std::vector<std::pair<std::string, bool>> changes;
    bool posted = false;
    bool retrying = false;
    async::TaskGroup tasks{"redis subscriptions"};
    Fleet fleet;
};

Subscriber::Subscriber(Client& client, OnMessage on_message)
    : impl_(std::make_shared<Impl>(client.impl(), std::move(on_message))) {}

Subscriber::~Subscriber() {
    stop();
}

void Subscriber::start() {
    asio::post(impl_->client.access.home, [impl = impl_] { impl->start(); });
}

void Subscriber::stop() {
    impl_->tasks.cancel();
    impl_->tasks.wait();
}

void Subscriber::want(std::string channel) {
    impl_->change(std::move(channel), true);
}

void Subscriber::forget(std::string channel) {
    impl_->change(std::move(channel), false);
}

std::size_t Subscriber::wanted() const noexcept {
    return impl_->total.load(std::memory_order_relaxed);
}

std::size_t Subscriber::subscribed() const noexcept {
    return impl_->confirmed.load(std::memory_order_relaxed);
}

}  // namespace supd::cache
