#include "connection.hpp"
#include "server_state.hpp"

#include <supd/base/log.hpp>
#include <supd/http/server.hpp>

#include <boost/asio/post.hpp>

namespace supd::http {
namespace {

asio::awaitable<void> serve(std::shared_ptr<ServerState> server, std::unique_ptr<net::Stream> stream) {
    struct Leave {
        ServerState& server;
        ~Leave() { server.leave(); }
    };
    const Leave leave{*server};
    Connection connection(*server, std::move(stream));
    co_await connection.serve();
}

void adopt_in(const std::shared_ptr<ServerState>& state, std::unique_ptr<net::Stream> stream) {
    if (state->draining) return;
    auto& thread = *state->threads[async::IoThreads::current()];
    state->connections.fetch_add(1);
    auto executor = stream->executor();
    thread.tasks.spawn(std::move(executor), serve(state, std::move(stream)));
}

void on_each_connection(const std::shared_ptr<ServerState>& state, void (Connection::*what)()) {
    for (std::size_t i = 0; i < state->threads.size(); ++i)
        asio::post(state->io.context(i), [state, i, what] {
            for (auto* connection : state->threads[i]->live)
                (connection->*what)();
        });
}

}  // namespace

ServerState::ServerState(async::IoThreads& threads_of, const Router& routes, ServerOptions opts,
                         ServerServices used)
    : io(threads_of), router(routes), options(std::move(opts)), services(used), metrics(used.metrics) {
    for (std::size_t i = 0; i < io.size(); ++i)
        threads.push_back(std::make_unique<Thread>());
}

void ServerState::leave() {
    if (connections.fetch_sub(1) != 1) return;
    const std::lock_guard lock(mutex);
    gone.notify_all();
}

Server::Server(async::IoThreads& io, const Router& router, ServerOptions options, ServerServices services)
    : state_(std::make_shared<ServerState>(io, router, std::move(options), services)) {}

// Callbacks that never ran may hold the state until the io_contexts go; the listeners must be gone before
// those.
Server::~Server() {
    stop();
    const std::lock_guard lock(state_->mutex);
    state_->listeners.clear();
}

void Server::on_upgrade(std::string path, UpgradeHandler handler) {
    state_->upgrades[std::move(path)] = std::move(handler);
}

std::uint16_t Server::listen(net::ListenerOptions options, std::shared_ptr<net::TlsContext> tls) {
    auto listener =
        std::make_unique<net::Listener>(state_->io, std::move(options), std::move(tls),
                                        [weak = std::weak_ptr(state_)](std::unique_ptr<net::Stream> stream) {
                                            if (const auto state = weak.lock())
                                                adopt_in(state, std::move(stream));
                                        });
    const auto port = listener->port();
    listener->start();
    const std::lock_guard lock(state_->mutex);
    state_->listeners.push_back(std::move(listener));
    return port;
}

void Server::adopt(std::unique_ptr<net::Stream> stream) {
    adopt_in(state_, std::move(stream));
}

void Server::begin_drain() {
    if (state_->draining.exchange(true)) return;
    {
        const std::lock_guard lock(state_->mutex);
        for (auto& listener : state_->listeners)
            listener->stop();
    }
    on_each_connection(state_, &Connection::close_if_idle);
}

bool Server::finish_drain(base::Monotonic::time_point at) {
    bool finished = false;
    {
        std::unique_lock lock(state_->mutex);
        finished = state_->gone.wait_until(lock, at, [&] { return state_->connections.load() == 0; });
    }
    if (!finished) on_each_connection(state_, &Connection::close);
    for (auto& thread : state_->threads)
        thread->tasks.wait();
    return finished;
}

void Server::stop() {
    begin_drain();
    finish_drain(base::Monotonic::now());
}

std::size_t Server::connections() const noexcept {
    return state_->connections.load();
}

}  // namespace supd::http
