#include "client_impl.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace supd::cache {
namespace {

constexpr int kMaxRedirects = 3;

std::shared_ptr<const net::TlsClient> tls_of(const Settings& settings) {
    if (!settings.url.tls) return nullptr;
    return std::make_shared<net::TlsClient>(settings.ca_file);
}

std::size_t size_of(const Words& words) {
    std::size_t out = 0;
    for (const auto& word : words)
        out += word.size() + 16;
    return out;
}

}  // namespace

Client::Impl::Impl(asio::io_context& home, Settings settings)
    : access{home, settings, tls_of(settings), counters},
      look_timer(home),
      fleet(access, tasks,
            {.up = [this](const Endpoint&) { links_up.fetch_add(1); },
             .down =
                 [this](const Endpoint&) {
                     links_up.fetch_sub(1);
                     look_again();
                 },
             .push = nullptr,
             .locate = [this] { return locate(); }}) {}

std::optional<Endpoint> Client::Impl::owner(std::string_view key) const {
    if (!clustered()) return Endpoint();
    return slots.owner(slot_of(key));
}

asio::awaitable<Located> Client::Impl::locate() {
    if (access.settings.url.layout == Layout::sentinel) co_return co_await ask_sentinels();
    Located out;
    out.endpoint = access.settings.url.endpoints.front();
    co_return out;
}

void Client::Impl::refuse(Command& command) {
    waiting.fetch_sub(1);
    waiting_bytes.fetch_sub(command.bytes);
    counters.dropped.fetch_add(1, std::memory_order_relaxed);
    if (command.message) counters.untold.fetch_add(1, std::memory_order_relaxed);
    Answer answer;
    answer.failure = Failure::unavailable;
    if (command.done) command.done(std::move(answer));
}

void Client::Impl::dispatch(Command command) {
    const auto to = owner(command.key);
    if (!to) return refuse(command);
    give(*to, std::make_shared<Command>(std::move(command)));
}

void Client::Impl::give(const Endpoint& to, const std::shared_ptr<Command>& command) {
    const bool taken =
        fleet.to(to).send(command->words, [self = shared_from_this(), command, to](Answer answer) {
            self->answered(command, to, std::move(answer));
        });
    if (!taken) return refuse(*command);
    counters.commands.fetch_add(1, std::memory_order_relaxed);
    if (command->message && command->redirects == 0)
        counters.published.fetch_add(1, std::memory_order_relaxed);
    if (!clustered()) command->words = {};  // only a cluster may send us elsewhere with it
}

void Client::Impl::answered(const std::shared_ptr<Command>& command, const Endpoint& by, Answer answer) {
    if (clustered() && answer.failure == Failure::refused && command->redirects++ < kMaxRedirects) {
        if (const auto redirect = redirect_of(answer.reply, by)) {
            if (!redirect->ask) moved(redirect->slot, redirect->to);
            if (redirect->ask) fleet.to(redirect->to).send({"ASKING"}, nullptr);
            return give(redirect->to, command);
        }
    }
    waiting.fetch_sub(1);
    waiting_bytes.fetch_sub(command->bytes);
    if (!answer.ok()) counters.failures.fetch_add(1, std::memory_order_relaxed);
    if (command->done) command->done(std::move(answer));
}

Client::Client(asio::io_context& home, Settings settings)
    : impl_(std::make_shared<Impl>(home, std::move(settings))) {}

Client::~Client() {
    stop();
}

void Client::start() {
    asio::post(impl_->access.home, [impl = impl_] { impl->start(); });
}

void Client::stop() {
    impl_->tasks.cancel();
    impl_->tasks.wait();
}

bool Client::up() const noexcept {
    return impl_->links_up.load(std::memory_order_acquire) > 0;
}

Breaker::State Client::breaker() const noexcept {
    return up() ? Breaker::State::closed : Breaker::State::open;
}

Counters& Client::counters() noexcept {
    return impl_->counters;
}

bool Client::Impl::take(Command command) {
    command.bytes = size_of(command.words);
    const auto& limits = access.settings.limits;
    const bool room = waiting.fetch_add(1) < limits.waiting_commands &&
                      waiting_bytes.load() + command.bytes <= limits.waiting_bytes;
    waiting_bytes.fetch_add(command.bytes);
    if (!room || links_up.load(std::memory_order_acquire) == 0) {
        refuse(command);
        return false;
    }
    asio::post(access.home, [impl = shared_from_this(), command = std::move(command)]() mutable {
        impl->dispatch(std::move(command));
    });
    return true;
}

bool Client::send(std::string key, Words words, Done done) {
    Impl::Command command;
    command.key = std::move(key);
    command.words = std::move(words);
    command.done = std::move(done);
    return impl_->take(std::move(command));
}

asio::awaitable<Answer> Client::ask(std::string key, Words words) {
    const auto executor = co_await asio::this_coro::executor;
    auto start = [&](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        send(std::move(key), std::move(words), [shared, executor](Answer answer) {
            asio::post(executor, [shared, answer = std::move(answer)]() mutable {
                std::move (*shared)(std::move(answer));
            });
        });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Answer)>(start,
                                                                                         asio::use_awaitable);
}

bool Client::publish(std::string channel, std::string payload) {
    Impl::Command command;
    command.message = true;
    command.words.reserve(3);
    command.words.emplace_back(impl_->clustered() ? "SPUBLISH" : "PUBLISH");
    command.words.push_back(channel);
    command.words.push_back(std::move(payload));
    command.key = std::move(channel);
    return impl_->take(std::move(command));
}

}  // namespace supd::cache
