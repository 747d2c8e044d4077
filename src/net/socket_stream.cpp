#include "socket_stream.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace supd::net {

SocketStream::SocketStream(TcpSocket socket, std::function<void()> on_gone)
    : socket_(std::move(socket)),
      deadlines_(asio::use_service<Deadlines>(socket_.get_executor().context())),
      on_gone_(std::move(on_gone)) {
    boost::system::error_code ignored;
    peer_ = socket_.remote_endpoint(ignored).address();
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.native_non_blocking(true, ignored);
    deadlines_.add(*this);
}

SocketStream::~SocketStream() {
    deadlines_.remove(*this);
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (on_gone_) on_gone_();
}

void SocketStream::wait(asio::socket_base::wait_type what, std::function<void(bool)> call) {
    socket_.async_wait(what,
                       [call = std::move(call)](const boost::system::error_code& error) { call(!error); });
}

void SocketStream::when_readable(std::function<void(bool)> call) {
    wait(asio::socket_base::wait_read, std::move(call));
}

void SocketStream::when_writable(std::function<void(bool)> call) {
    wait(asio::socket_base::wait_write, std::move(call));
}

void SocketStream::set_deadline(std::chrono::steady_clock::time_point at, OnDeadline action) {
    action_ = action;
    timed_out_ = false;
    deadlines_.set(*this, at);
}

void SocketStream::expire() {
    timed_out_ = true;
    boost::system::error_code ignored;
    if (action_ == OnDeadline::close)
        close();
    else
        socket_.cancel(ignored);
}

void SocketStream::shutdown_write() {
    boost::system::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

void SocketStream::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

IoResult PlainStream::try_read(std::span<char> into) {
    for (;;) {
        const auto n = ::recv(fd(), into.data(), into.size(), MSG_DONTWAIT);
        if (n > 0) return {IoState::ok, static_cast<std::size_t>(n)};
        if (n == 0) return {IoState::closed, 0};
        if (errno == EINTR) continue;
        return {errno == EAGAIN || errno == EWOULDBLOCK ? IoState::would_block : IoState::closed, 0};
    }
}

IoResult PlainStream::try_write(std::span<const iovec> from) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from.data());
    message.msg_iovlen = std::min<std::size_t>(from.size(), 1024);  // IOV_MAX
    for (;;) {
        const auto n = ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) return {IoState::ok, static_cast<std::size_t>(n)};
        if (errno == EINTR) continue;
        return {errno == EAGAIN || errno == EWOULDBLOCK ? IoState::would_block : IoState::closed, 0};
    }
}

std::unique_ptr<Stream> make_stream(TcpSocket socket, const TlsContext* tls, std::function<void()> on_gone) {
    if (tls) return make_tls_stream(std::move(socket), *tls, std::move(on_gone));
    return std::make_unique<PlainStream>(std::move(socket), std::move(on_gone));
}

std::span<char> read_buffer() noexcept {
    thread_local std::array<char, kReadBuffer> buffer;
    return buffer;
}

}  // namespace supd::net
