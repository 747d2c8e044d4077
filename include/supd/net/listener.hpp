// One listening port. Accepts on the first io thread and hands connections to all io threads in turn.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/net/address.hpp>
#include <supd/net/stream.hpp>
#include <supd/net/tls.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace supd::net {

struct ListenerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0 = any free port
    int backlog = 4096;
    std::size_t max_connections = 100'000;
    std::size_t max_per_address = 512;  ///< per IPv4 address or IPv6 /64
    /// Counted only against max_connections: trusted proxies, load generators. Loopback always is.
    std::vector<Network> uncapped;
};

inline constexpr std::chrono::milliseconds kAcceptBackOff{100};  ///< when file descriptors or memory run out
inline constexpr std::chrono::seconds kCertificateCheck{
    60};  ///< how often the files are looked at for a newer one

class Listener {
public:
    /// Called on the io thread that the connection will live on.
    using Accepted = std::function<void(std::unique_ptr<Stream>)>;

    /// Binds and listens; throws boost::system::system_error. `tls` null = plain; `io` must outlive the
    /// listener.
    Listener(async::IoThreads& io, ListenerOptions options, std::shared_ptr<TlsContext> tls,
             Accepted accepted);
    /// stop().
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    std::uint16_t port() const noexcept;
    void start();
    /// No connection is accepted after this (those being handed over still arrive). Any thread, idempotent.
    void stop();

    std::size_t connections() const noexcept;
    std::uint64_t refused() const noexcept;  ///< closed at once because of a cap

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace supd::net
