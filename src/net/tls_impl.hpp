// OpenSSL's side of TlsContext.
#pragma once

#include <supd/net/stream.hpp>
#include <supd/net/tls.hpp>

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <mutex>

namespace supd::net {

struct SslFree {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslFree>;

struct TlsContext::Impl {
    /// A server session on `fd`, not owning the fd. Null when memory is out.
    SslPtr session(int fd) const;
    SslContextPtr load() const;  ///< throws std::runtime_error
    std::string fingerprint() const;

    std::string certificate_file;
    std::string key_file;
    mutable std::mutex mutex;
    SslContextPtr context;
    std::string seen;
};

/// `ssl` works on the socket's descriptor, whichever side it is of.
std::unique_ptr<Stream> make_tls_stream(TcpSocket socket, SslPtr ssl, std::function<void()> on_gone);

}  // namespace supd::net
