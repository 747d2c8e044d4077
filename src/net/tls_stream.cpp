#include "socket_stream.hpp"
#include "tls_impl.hpp"

#include <boost/asio/post.hpp>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace supd::net {
namespace {

constexpr std::size_t kRecord = 16 * 1024;  // the most one TLS record carries

class TlsStream final : public SocketStream {
public:
    TlsStream(TcpSocket socket, SslPtr ssl, std::function<void()> on_gone)
        : SocketStream(std::move(socket), std::move(on_gone)), ssl_(std::move(ssl)) {}

    bool secure() const noexcept override { return true; }

    std::string tls_fault() const override {
        if (!ssl_) return "out of memory";
        if (const auto verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK)
            return X509_verify_cert_error_string(verified);
        if (SSL_is_init_finished(ssl_.get())) return {};
        const auto* reason = error_ == 0 ? nullptr : ERR_reason_error_string(error_);
        return reason ? reason : "the handshake was not finished";
    }

    IoResult try_read(std::span<char> into) override {
        if (!ssl_ || !is_open()) return {IoState::closed, 0};
        ERR_clear_error();
        std::size_t got = 0;
        if (SSL_read_ex(ssl_.get(), into.data(), into.size(), &got) == 1) return {IoState::ok, got};
        return blocked(read_wants_write_);
    }

    // Small parts are gathered so that they share a record; one record per call.
    IoResult try_write(std::span<const iovec> from) override {
        if (!ssl_ || !is_open()) return {IoState::closed, 0};
        thread_local std::array<char, kRecord> gathered;
        const void* data = nullptr;
        std::size_t size = 0;
        if (!from.empty() && from.front().iov_len >= kRecord) {
            data = from.front().iov_base;
            size = kRecord;
        } else {
            for (const auto& part : from) {
                const auto n = std::min(part.iov_len, gathered.size() - size);
                std::memcpy(gathered.data() + size, part.iov_base, n);
                size += n;
                if (size == gathered.size()) break;
            }
            data = gathered.data();
        }
        if (size == 0) return {IoState::ok, 0};
        ERR_clear_error();
        std::size_t put = 0;
        if (SSL_write_ex(ssl_.get(), data, size, &put) == 1) return {IoState::ok, put};
        return blocked(write_wants_write_);
    }

    void when_readable(std::function<void(bool)> call) override {
        if (ssl_ && SSL_pending(ssl_.get()) > 0) {
            asio::post(executor(), [call = std::move(call)] { call(true); });
            return;
        }
        wait(read_wants_write_ ? asio::socket_base::wait_write : asio::socket_base::wait_read,
             std::move(call));
    }
    void when_writable(std::function<void(bool)> call) override {
        wait(write_wants_write_ ? asio::socket_base::wait_write : asio::socket_base::wait_read,
             std::move(call));
    }

    void shutdown_write() override {
        if (ssl_ && is_open() && SSL_is_init_finished(ssl_.get())) {
            ERR_clear_error();
            SSL_shutdown(ssl_.get());
        }
        SocketStream::shutdown_write();
    }

private:
    IoResult blocked(bool& wants_write) {
        switch (SSL_get_error(ssl_.get(), 0)) {
            case SSL_ERROR_WANT_READ:
                wants_write = false;
                return {IoState::would_block, 0};
            case SSL_ERROR_WANT_WRITE:
                wants_write = true;
                return {IoState::would_block, 0};
            default:
                if (const auto code = ERR_peek_last_error(); code != 0) error_ = code;
                return {IoState::closed, 0};
        }
    }

    SslPtr ssl_;
    unsigned long error_ = 0;  // OpenSSL's, of what closed it
    bool read_wants_write_ = false;
    bool write_wants_write_ = true;
};

}  // namespace

std::unique_ptr<Stream> make_tls_stream(TcpSocket socket, SslPtr ssl, std::function<void()> on_gone) {
    return std::make_unique<TlsStream>(std::move(socket), std::move(ssl), std::move(on_gone));
}

std::unique_ptr<Stream> make_tls_stream(TcpSocket socket, const TlsContext& tls,
                                        std::function<void()> on_gone) {
    auto ssl = tls.impl().session(socket.native_handle());
    return make_tls_stream(std::move(socket), std::move(ssl), std::move(on_gone));
}

}  // namespace supd::net
