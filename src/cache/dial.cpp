#include "dial.hpp"

#include "resp.hpp"

#include <supd/base/clock.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace supd::cache {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// Shared with the watchdog's callback, which may run after the attempt is over.
struct Attempt {
    explicit Attempt(asio::io_context& home) : socket(home), resolver(home), watchdog(home) {}
    net::TcpSocket socket;
    asio::ip::basic_resolver<asio::ip::tcp, asio::io_context::executor_type> resolver;
    asio::steady_timer watchdog;
    bool over = false;
    bool late = false;
};

class Guard {
public:
    Guard(std::shared_ptr<Attempt> attempt, std::chrono::milliseconds limit) : attempt_(std::move(attempt)) {
        attempt_->watchdog.expires_after(limit);
        attempt_->watchdog.async_wait([attempt = attempt_](const boost::system::error_code& error) {
            if (error || attempt->over) return;
            attempt->late = true;
            boost::system::error_code ignored;
            attempt->resolver.cancel();
            attempt->socket.close(ignored);
        });
    }
    ~Guard() {
        attempt_->over = true;
        attempt_->watchdog.cancel();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

private:
    std::shared_ptr<Attempt> attempt_;
};

}  // namespace

asio::awaitable<std::unique_ptr<net::Stream>> dial(asio::io_context& home, Endpoint to,
                                                   std::shared_ptr<const net::TlsClient> tls,
                                                   std::chrono::milliseconds limit) {
    const auto attempt = std::make_shared<Attempt>(home);
    const Guard guard(attempt, limit);
    std::vector<asio::ip::tcp::endpoint> found;
    boost::system::error_code not_an_address;
    const auto address = asio::ip::make_address(to.host, not_an_address);
    if (!not_an_address) {
        found.emplace_back(address, to.port);
    } else {
        auto [error, results] =
            co_await attempt->resolver.async_resolve(to.host, std::to_string(to.port), kTuple);
        if (error || attempt->late) co_return nullptr;
        for (const auto& result : results)
            found.push_back(result.endpoint());
    }
    auto [error, reached] = co_await asio::async_connect(attempt->socket, found, kTuple);
    if (error || attempt->late || !attempt->socket.is_open()) co_return nullptr;
    if (tls) co_return tls->make_stream(std::move(attempt->socket), to.host);
    co_return net::make_stream(std::move(attempt->socket), nullptr);
}

asio::awaitable<std::optional<std::vector<Reply>>> converse(net::Stream& stream, std::vector<Words> commands,
                                                            std::chrono::milliseconds limit) {
    stream.set_deadline(base::Monotonic::now() + limit);
    std::string bytes;
    for (const auto& words : commands)
        append_command(bytes, words);
    const iovec part{bytes.data(), bytes.size()};
    const bool sent = co_await stream.write_all(std::span<const iovec>(&part, 1));
    std::vector<Reply> replies;
    Parser parser;
    std::string got(4096, '\0');
    while (sent && replies.size() < commands.size()) {
        const auto size = co_await stream.read_some(got);
        if (size == 0) co_return std::nullopt;
        try {
            parser.feed(std::string_view(got).substr(0, size));
            while (auto reply = parser.next())
                replies.push_back(std::move(*reply));
        } catch (const ProtocolFault&) {
            co_return std::nullopt;
        }
    }
    stream.set_deadline(base::Monotonic::time_point::max());
    if (!sent) co_return std::nullopt;
    co_return replies;
}

}  // namespace supd::cache
