// One accepted connection, plain TCP or TLS (RFC 8446) on the same socket. Lives and dies on its io thread;
// nothing here is thread-safe. Reads and writes never block and keep no buffer per connection: a caller waits
// for readiness, then moves bytes through buffers of its own (the io thread shares one), so an idle
// connection costs a socket and this object.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace supd::net {

namespace asio = boost::asio;

enum class IoState { ok, would_block, closed };

struct IoResult {
    IoState state = IoState::ok;
    std::size_t bytes = 0;
};

enum class OnDeadline { close, cancel_waits };

class Stream {
public:
    virtual ~Stream() = default;
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    virtual asio::any_io_executor executor() = 0;
    virtual asio::ip::address peer() const = 0;
    virtual bool secure() const noexcept = 0;

    /// Never blocks. closed: end of stream or any error; the connection is of no more use for reading.
    virtual IoResult try_read(std::span<char> into) = 0;
    /// Never blocks; may take a part. closed: any error.
    virtual IoResult try_write(std::span<const iovec> from) = 0;
    /// After a partial or blocked try_write the next one must begin with the same bytes (TLS has them
    /// encrypted already).
    ///
    /// Calls back once on the io thread when a read (write) may get further, with false when the wait was
    /// cancelled by close(), the destructor (so the call may outlive the stream) or the deadline. Never
    /// called from within when_*. At most one of each outstanding. For TLS a readable wait may mean the
    /// socket must be writable first; the implementation hides that.
    virtual void when_readable(std::function<void(bool)> call) = 0;
    virtual void when_writable(std::function<void(bool)> call) = 0;

    /// After `at` the io thread's ticker (resolution kDeadlineTick) closes the connection, or only completes
    /// the outstanding waits with false so that the owner can still say why. time_point::max() = none.
    virtual void set_deadline(std::chrono::steady_clock::time_point at,
                              OnDeadline action = OnDeadline::close) = 0;
    /// True when the deadline last set has passed and was acted on.
    virtual bool timed_out() const noexcept = 0;

    /// Half-close: no more writes (FIN, close_notify). Then close().
    virtual void shutdown_write() = 0;
    /// Closes at once and completes outstanding waits with false. Idempotent.
    virtual void close() = 0;
    virtual bool is_open() const noexcept = 0;

    /// Coroutine forms for code that is not hot. readable/writable: false as for when_*; 0 bytes = closed.
    asio::awaitable<bool> readable();
    asio::awaitable<bool> writable();
    asio::awaitable<std::size_t> read_some(std::span<char> into);
    /// False = closed before all was written.
    asio::awaitable<bool> write_all(std::span<const iovec> from);
};

inline constexpr std::chrono::milliseconds kDeadlineTick{500};

/// The scratch buffer of the calling io thread, for one try_read whose bytes are used up or copied before the
/// next co_await or callback.
std::span<char> read_buffer() noexcept;
inline constexpr std::size_t kReadBuffer = 64 * 1024;

using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

class TlsContext;
/// Takes over a connected socket on its io thread. `tls` null = plain. `on_gone` runs when the stream is
/// destroyed.
std::unique_ptr<Stream> make_stream(TcpSocket socket, const TlsContext* tls,
                                    std::function<void()> on_gone = nullptr);

}  // namespace supd::net
