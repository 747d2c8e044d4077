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

asio::awaitable<Located> Client::Impl::next_seed() {
    const auto& seeds = access.settings.url.endpoints;
    // A master that was found may be all that is left of the cluster that the URL names.
    const auto& found = slots.masters();
    const auto at = seed_index++ % (seeds.size() + found.size());
    seed = at < seeds.size() ? seeds[at] : found[at - seeds.size()];
    Located out;
    out.endpoint = seed;
    co_return out;
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

// What the last of them said is the reason when none knows the master.
asio::awaitable<Located> Client::Impl::ask_sentinels() {
    const auto sentinels = access.settings.url.endpoints;  // another link may change the order meanwhile
    const auto limit = access.settings.limits.connect;
    Located out;
    out.trouble.stage = "sentinel";
    for (const auto& sentinel : sentinels) {
        const auto dialled = co_await dial(access.home, sentinel, access.tls, limit);
        if (!dialled.stream) {
            out.trouble.reason = dialled.trouble.stage + (": " + dialled.trouble.reason);
            continue;
        }
        std::vector<Words> commands;
        if (!access.settings.url.sentinel_password.empty())
            commands.push_back({"AUTH", access.settings.url.sentinel_password.reveal()});
        commands.push_back({"SENTINEL", "get-master-addr-by-name", access.settings.url.master});
        const auto said = co_await converse(dialled.stream, std::move(commands), limit);
        if (said.replies.empty()) {
            out.trouble.reason = said.trouble.stage + (": " + said.trouble.reason);
            continue;
        }
        const auto is_error = [](const Reply& reply) { return reply.kind == Reply::Kind::error; };
        if (const auto refused = std::ranges::find_if(said.replies, is_error);
            refused != said.replies.end()) {
            out.trouble.reason = "refused: " + code_of(*refused);
            continue;
        }
        out.trouble.reason = "it does not know the master";
        const auto& address = said.replies.back().items;
        if (address.size() != 2) continue;
        Endpoint master;
        master.host = address[0].text;
        const auto& port = address[1].text;
        std::from_chars(port.data(), port.data() + port.size(), master.port);
        if (master.host.empty() || master.port == 0) continue;
        auto& order = access.settings.url.endpoints;  // who answered is asked first the next time
        std::swap(order.front(), *std::ranges::find(order, sentinel));
        out.endpoint = std::move(master);
        break;
    }
    co_return out;
}

}  // namespace supd::cache
