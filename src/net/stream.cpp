#include <supd/net/stream.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <vector>

namespace supd::net {
namespace {

// A wait's callback may outlive the stream, so it owns the coroutine's handler and nothing else.
template <class Handler>
std::function<void(bool)> resume(Handler handler) {
    auto shared = std::make_shared<Handler>(std::move(handler));
    return [shared](bool ok) { std::move (*shared)(ok); };
}

}  // namespace

asio::awaitable<bool> Stream::readable() {
    auto start = [this](auto handler) { when_readable(resume(std::move(handler))); };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(start,
                                                                                       asio::use_awaitable);
}

asio::awaitable<bool> Stream::writable() {
    auto start = [this](auto handler) { when_writable(resume(std::move(handler))); };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(start,
                                                                                       asio::use_awaitable);
}

asio::awaitable<std::size_t> Stream::read_some(std::span<char> into) {
    for (;;) {
        const auto got = try_read(into);
        if (got.state == IoState::ok) co_return got.bytes;
        if (got.state == IoState::closed) co_return 0;
        if (!co_await readable()) co_return 0;
    }
}

asio::awaitable<bool> Stream::write_all(std::span<const iovec> from) {
    std::vector<iovec> rest(from.begin(), from.end());
    std::size_t at = 0;
    for (;;) {
        while (at < rest.size() && rest[at].iov_len == 0)
            ++at;
        if (at == rest.size()) co_return true;
        const auto put = try_write(std::span<const iovec>(rest).subspan(at));
        if (put.state == IoState::closed) co_return false;
        auto left = put.bytes;
        while (left > 0) {
            auto& part = rest[at];
            const auto n = std::min(left, part.iov_len);
            part.iov_base = static_cast<char*>(part.iov_base) + n;
            part.iov_len -= n;
            left -= n;
            if (part.iov_len == 0) ++at;
        }
        if (put.state == IoState::would_block && !co_await writable()) co_return false;
    }
}

}  // namespace supd::net
