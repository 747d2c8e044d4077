// What plain and TLS streams share: the socket, its waits and its deadline.
#pragma once

#include "deadlines.hpp"

#include <supd/net/stream.hpp>

#include <string>

namespace supd::net {

class SocketStream : public Stream, protected Deadlines::Owner {
public:
    SocketStream(TcpSocket socket, std::function<void()> on_gone);
    ~SocketStream() override;

    asio::any_io_executor executor() override { return socket_.get_executor(); }
    asio::ip::address peer() const override { return peer_; }
    void when_readable(std::function<void(bool)> call) override;
    void when_writable(std::function<void(bool)> call) override;
    void set_deadline(std::chrono::steady_clock::time_point at, OnDeadline action) override;
    bool timed_out() const noexcept override { return timed_out_; }
    void shutdown_write() override;
    void close() override;
    bool is_open() const noexcept override { return socket_.is_open(); }
    /// As TlsClient::fault_of.
    virtual std::string tls_fault() const { return {}; }

protected:
    int fd() { return socket_.native_handle(); }
    void wait(asio::socket_base::wait_type what, std::function<void(bool)> call);

private:
    void expire() override;

    TcpSocket socket_;
    asio::ip::address peer_;
    Deadlines& deadlines_;
    std::function<void()> on_gone_;
    OnDeadline action_ = OnDeadline::close;
    bool timed_out_ = false;
};

class PlainStream final : public SocketStream {
public:
    using SocketStream::SocketStream;
    bool secure() const noexcept override { return false; }
    IoResult try_read(std::span<char> into) override;
    IoResult try_write(std::span<const iovec> from) override;
};

std::unique_ptr<Stream> make_tls_stream(TcpSocket socket, const TlsContext& tls,
                                        std::function<void()> on_gone);

}  // namespace supd::net
