// Who is who: the master that sentinels name, the slots of a cluster.
#include "client_impl.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <charconv>

namespace supd::cache {
namespace {

constexpr std::chrono::milliseconds kLookSoon{250};

}  // namespace

void Client::Impl::start() {
    if (!clustered()) {
        fleet.to(Endpoint());
        return;
    }
    Link::Hooks hooks;
    hooks.locate = [this] { return next_seed(); };
    hooks.up = [this] { ask_slots(); };
    hooks.down = [this] { look_again(); };
    seeker = std::make_shared<Link>(access, std::move(hooks));
    seeker->start(tasks);
    tasks.spawn(access.home.get_executor(), watch_topology());
}

asio::awaitable<std::optional<Endpoint>> Client::Impl::next_seed() {
    const auto& seeds = access.settings.url.endpoints;
    // A master that was found may be all that is left of the cluster that the URL names.
    const auto& found = slots.masters();
    const auto at = seed_index++ % (seeds.size() + found.size());
    seed = at < seeds.size() ? seeds[at] : found[at - seeds.size()];
    co_return seed;
}

void Client::Impl::ask_slots() {
    const std::weak_ptr<Impl> weak = weak_from_this();
    seeker->send({"CLUSTER", "SLOTS"}, [weak, asked = seed](const Answer& answer) {
        const auto self = weak.lock();
        if (!self || !answer.ok() || !self->slots.read(answer.reply, asked)) return;
        self->fleet.keep_only(self->slots.masters());
        for (const auto& master : self->slots.masters())
            self->fleet.to(master);
        for (const auto& told : self->on_topology)
            told();
    });
}

void Client::Impl::moved(std::uint16_t slot, const Endpoint& to) {
    slots.move(slot, to);
    look_again();
}

void Client::Impl::look_again() {
    if (!clustered() || std::exchange(look_soon, true)) return;
    look_timer.expires_after(kLookSoon);  // cuts the longer wait short
}

asio::awaitable<void> Client::Impl::watch_topology() {
    for (;;) {
        if (!look_soon) look_timer.expires_after(access.settings.limits.topology);
        auto [error] = co_await look_timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) continue;  // the wait was cut short, or this ends at the next co_await
        look_soon = false;
        if (seeker->up()) ask_slots();
        const auto down = [this](const Endpoint& master) { return !fleet.to(master).up(); };
        if (std::ranges::any_of(slots.masters(), down)) look_again();  // until another has taken over
    }
}

asio::awaitable<std::optional<Endpoint>> Client::Impl::ask_sentinels() {
    const auto sentinels = access.settings.url.endpoints;  // another link may change the order meanwhile
    const auto limit = access.settings.limits.connect;
    for (const auto& sentinel : sentinels) {
        auto stream = co_await dial(access.home, sentinel, access.tls, limit);
        if (!stream) continue;
        std::vector<Words> commands;
        if (!access.settings.url.sentinel_password.empty())
            commands.push_back({"AUTH", access.settings.url.sentinel_password.reveal()});
        commands.push_back({"SENTINEL", "get-master-addr-by-name", access.settings.url.master});
        const auto replies = co_await converse(*stream, std::move(commands), limit);
        if (!replies || replies->back().items.size() != 2) continue;
        const auto& address = replies->back().items;
        Endpoint out;
        out.host = address[0].text;
        const auto& port = address[1].text;
        std::from_chars(port.data(), port.data() + port.size(), out.port);
        if (out.host.empty() || out.port == 0) continue;
        auto& order = access.settings.url.endpoints;  // who answered is asked first the next time
        std::swap(order.front(), *std::ranges::find(order, sentinel));
        co_return out;
    }
    co_return std::nullopt;
}

}  // namespace supd::cache
