#include "socket_stream.hpp"
#include "tls_impl.hpp"

#include <supd/net/tls_client.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <stdexcept>

namespace supd::net {

struct TlsClient::Impl {
    SslContextPtr context{SSL_CTX_new(TLS_client_method())};
};

TlsClient::TlsClient(const std::string& ca_file) : impl_(std::make_unique<Impl>()) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
    ERR_clear_error();
    auto* context = impl_->context.get();
    if (!context) throw std::runtime_error("TLS: out of memory");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    const int trusted = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                                        : SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr);
    ERR_clear_error();
    if (trusted != 1)
        throw std::runtime_error("TLS: no certificate of an authority can be read from " +
                                 (ca_file.empty() ? std::string("the system's store") : ca_file));
}

TlsClient::~TlsClient() = default;

std::unique_ptr<Stream> TlsClient::make_stream(TcpSocket socket, const std::string& host) const {
    SslPtr ssl(SSL_new(impl_->context.get()));
    if (!ssl || SSL_set_fd(ssl.get(), socket.native_handle()) != 1) return nullptr;
    boost::system::error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (not_an_address) {
        if (SSL_set1_host(ssl.get(), host.c_str()) != 1 ||
            SSL_set_tlsext_host_name(ssl.get(), host.c_str()) != 1)
            return nullptr;
    } else if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) != 1) {
        return nullptr;
    }
    SSL_set_connect_state(ssl.get());
    return make_tls_stream(std::move(socket), std::move(ssl), nullptr);
}

std::string TlsClient::fault_of(const Stream& stream) {
    const auto* socket = dynamic_cast<const SocketStream*>(&stream);
    return socket ? socket->tls_fault() : std::string();
}

}  // namespace supd::net
