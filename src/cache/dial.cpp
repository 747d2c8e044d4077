#include "dial.hpp"

#include "resp.hpp"

#include <supd/base/clock.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>

namespace supd::cache {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// Shared with the watchdog's callback, which may run after the attempt is over.
struct Attempt {
    explicit Attempt(asio::io_context& home) : socket(home), watchdog(home) {}
    net::TcpSocket socket;
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

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, asio::io_context::executor_type>;

// Nothing interrupts getaddrinfo, which takes half a minute while no name server answers. So whoever asked
// waits for a timer, and what the lookup touches when it ends at last is its own.
struct Lookup {
    explicit Lookup(asio::io_context& home) : resolver(home), done(home) {}
    Resolver resolver;
    asio::steady_timer done;  // cut short by the result
    std::optional<boost::system::error_code> error;
    std::vector<asio::ip::tcp::endpoint> found;
};

struct Resolved {
    std::vector<asio::ip::tcp::endpoint> found;
    std::string why;  // there is none
};

asio::awaitable<Resolved> resolve(asio::io_context& home, Endpoint to, std::chrono::milliseconds limit) {
    Resolved out;
    boost::system::error_code not_an_address;
    const auto address = asio::ip::make_address(to.host, not_an_address);
    if (!not_an_address) {
        out.found.emplace_back(address, to.port);
        co_return out;
    }
    const auto lookup = std::make_shared<Lookup>(home);
    lookup->done.expires_after(limit);
    lookup->resolver.async_resolve(
        to.host, std::to_string(to.port),
        [lookup](const boost::system::error_code& error, const Resolver::results_type& results) {
            lookup->error = error;
            for (const auto& result : results)
                lookup->found.push_back(result.endpoint());
            lookup->done.cancel();
        });
    co_await lookup->done.async_wait(kTuple);
    // One that waits behind another is not begun any more.
    lookup->resolver.cancel();
    if (!lookup->error)
        out.why = "no answer in time";
    else if (*lookup->error)
        out.why = lookup->error->message();
    out.found = lookup->found;
    co_return out;
}

Dialled failed(const char* stage, std::string reason) {
    Dialled out;
    out.trouble.stage = stage;
    out.trouble.reason = std::move(reason);
    return out;
}

}  // namespace

asio::awaitable<Dialled> dial(asio::io_context& home, Endpoint to, std::shared_ptr<const net::TlsClient> tls,
                              std::chrono::milliseconds limit) {
    const auto attempt = std::make_shared<Attempt>(home);
    const Guard guard(attempt, limit);
    const auto resolved = co_await resolve(home, to, limit);
    if (resolved.found.empty()) co_return failed("resolve", resolved.why);
    if (attempt->late) co_return failed("connect", "no answer in time");
    auto [error, reached] = co_await asio::async_connect(attempt->socket, resolved.found, kTuple);
    if (attempt->late) co_return failed("connect", "no answer in time");
    if (error || !attempt->socket.is_open()) co_return failed("connect", error.message());
    Dialled out;
    out.stream = tls ? tls->make_stream(std::move(attempt->socket), to.host)
                     : net::make_stream(std::move(attempt->socket), nullptr);
    if (!out.stream) co_return failed("tls", "out of memory");
    co_return out;
}

asio::awaitable<Conversation> converse(std::shared_ptr<net::Stream> stream, std::vector<Words> commands,
                                       std::chrono::milliseconds limit) {
    stream->set_deadline(base::Monotonic::now() + limit);
    std::string bytes;
    for (const auto& words : commands)
        append_command(bytes, words);
    const iovec part{bytes.data(), bytes.size()};
    const bool sent = co_await stream->write_all(std::span<const iovec>(&part, 1));
    Conversation out;
    out.trouble.stage = "sign_in";
    Parser parser;
    std::string got(4096, '\0');
    while (sent && out.trouble.reason.empty() && out.replies.size() < commands.size()) {
        const auto size = co_await stream->read_some(got);
        if (size == 0) break;
        try {
            parser.feed(std::string_view(got).substr(0, size));
            while (auto reply = parser.next())
                out.replies.push_back(std::move(*reply));
        } catch (const ProtocolFault&) {
            out.trouble.reason = "what it says is not the protocol of Redis";
        }
    }
    if (out.trouble.reason.empty() && sent && out.replies.size() >= commands.size()) {
        stream->set_deadline(base::Monotonic::time_point::max());
        co_return out;
    }
    out.replies.clear();
    if (auto fault = net::TlsClient::fault_of(*stream); !fault.empty()) {
        out.trouble.stage = "tls";
        out.trouble.reason = std::move(fault);
    } else if (out.trouble.reason.empty()) {
        out.trouble.reason = stream->timed_out() ? "no answer in time" : "the connection was closed";
    }
    co_return out;
}

std::string code_of(const Reply& error) {
    return error.text.substr(0, error.text.find(' '));
}

}  // namespace supd::cache
