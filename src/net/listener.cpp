#include <supd/base/log.hpp>
#include <supd/net/listener.hpp>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace supd::net {
namespace {

using boost::system::error_code;
using Tcp = asio::ip::tcp;

bool out_of_resources(const error_code& error) {
    return error == asio::error::no_descriptors ||
           error == boost::system::errc::too_many_files_open_in_system ||
           error == asio::error::no_buffer_space || error == asio::error::no_memory;
}

// What connections need of their listener. Apart from the acceptor, because a connection on another io thread
// may be the last to let go, when the acceptor's io_context is gone already.
struct Shared {
    Shared(ListenerOptions opts, std::shared_ptr<TlsContext> context, Listener::Accepted call)
        : options(std::move(opts)), tls(std::move(context)), accepted(std::move(call)) {}

    bool admit(const AddressKey& key, bool counted) {
        if (connections.load(std::memory_order_relaxed) >= options.max_connections) return false;
        if (counted) {
            const std::lock_guard lock(mutex);
            auto& count = per_address[key];
            if (count >= options.max_per_address) return false;
            ++count;
        }
        connections.fetch_add(1, std::memory_order_relaxed);
        return true;
    }

    void release(const AddressKey& key, bool counted) {
        connections.fetch_sub(1, std::memory_order_relaxed);
        if (!counted) return;
        const std::lock_guard lock(mutex);
        const auto at = per_address.find(key);
        if (at != per_address.end() && --at->second == 0) per_address.erase(at);
    }

    const ListenerOptions options;
    const std::shared_ptr<TlsContext> tls;
    const Listener::Accepted accepted;
    std::atomic<std::size_t> connections{0};
    std::atomic<std::uint64_t> refused{0};
    std::mutex mutex;
    std::map<AddressKey, std::size_t> per_address;
};

}  // namespace

struct Listener::State : std::enable_shared_from_this<State> {
    State(async::IoThreads& threads, std::shared_ptr<Shared> with)
        : io(threads), shared(std::move(with)), acceptor(threads.context(0)), pause(threads.context(0)) {}

    void open() {
        const auto& options = shared->options;
        const Tcp::endpoint at(asio::ip::make_address(options.address), options.port);
        acceptor.open(at.protocol());
        acceptor.set_option(asio::socket_base::reuse_address(true));
        if (at.address().is_v6()) acceptor.set_option(asio::ip::v6_only(false));
        acceptor.bind(at);
        acceptor.listen(options.backlog);
        port = acceptor.local_endpoint().port();
    }

    void accept() {
        const auto index = next++ % io.size();
        acceptor.async_accept(io.context(index), peer,
                              [self = shared_from_this(), index](const error_code& error, TcpSocket socket) {
                                  self->on_accept(error, index, std::move(socket));
                              });
    }

    void on_accept(const error_code& error, std::size_t index, TcpSocket socket) {
        if (stopped || error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
            return;
        if (out_of_resources(error)) {
            if (!std::exchange(starved, true))
                base::log::error("accept_starved", {{"error", error.message()}});
            pause.expires_after(kAcceptBackOff);
            pause.async_wait([self = shared_from_this()](const error_code& cancelled) {
                if (!cancelled && !self->stopped) self->accept();
            });
            return;
        }
        starved = false;
        if (!error) hand_over(index, std::move(socket));
        accept();
    }

    // A renewed certificate is taken up without anybody's doing; asked only when somebody comes.
    void look_at_certificate() {
        const auto now = std::chrono::steady_clock::now();
        if (!shared->tls || now - looked < kCertificateCheck) return;
        looked = now;
        const auto fault = shared->tls->reload_if_changed();
        if (!fault) return;
        if (fault->empty())
            base::log::info("certificate_reloaded", {{"port", port}});
        else
            base::log::error("certificate_not_reloaded", {{"port", port}, {"error", *fault}});
    }

    void hand_over(std::size_t index, TcpSocket socket) {
        look_at_certificate();
        const auto key = limit_key(peer.address());
        const bool counted =
            !peer.address().is_loopback() && !any_contains(shared->options.uncapped, peer.address());
        if (!shared->admit(key, counted)) {
            shared->refused.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        auto on_gone = [with = shared, key, counted] { with->release(key, counted); };
        asio::post(io.context(index), [with = shared, gone = std::function<void()>(std::move(on_gone)),
                                       taken = std::move(socket)]() mutable {
            with->accepted(make_stream(std::move(taken), with->tls.get(), std::move(gone)));
        });
    }

    async::IoThreads& io;
    const std::shared_ptr<Shared> shared;
    // Only on io thread 0, after start().
    Tcp::acceptor acceptor;
    asio::steady_timer pause;
    Tcp::endpoint peer;
    std::size_t next = 0;
    std::chrono::steady_clock::time_point looked = std::chrono::steady_clock::now();
    bool starved = false;
    bool stopped = false;

    std::uint16_t port = 0;
};

Listener::Listener(async::IoThreads& io, ListenerOptions options, std::shared_ptr<TlsContext> tls,
                   Accepted accepted)
    : state_(std::make_shared<State>(
          io, std::make_shared<Shared>(std::move(options), std::move(tls), std::move(accepted)))) {
    state_->open();
}

Listener::~Listener() {
    stop();
}

std::uint16_t Listener::port() const noexcept {
    return state_->port;
}

void Listener::start() {
    asio::post(state_->io.context(0), [state = state_] { state->accept(); });
}

void Listener::stop() {
    asio::post(state_->io.context(0), [state = state_] {
        state->stopped = true;
        error_code ignored;
        state->acceptor.close(ignored);
        state->pause.cancel();
    });
}

std::size_t Listener::connections() const noexcept {
    return state_->shared->connections.load(std::memory_order_relaxed);
}
std::uint64_t Listener::refused() const noexcept {
    return state_->shared->refused.load(std::memory_order_relaxed);
}

}  // namespace supd::net
