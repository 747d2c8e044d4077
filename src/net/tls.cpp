#include "tls_impl.hpp"

#include <openssl/err.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <ctime>
#include <stdexcept>
#include <string_view>

namespace supd::net {
namespace {

std::string last_ssl_error() {
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    if (code == 0) return "no such file?";
    std::array<char, 256> text{};
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

// Clients that offer protocols get http/1.1; those that offer only others (h2) are told so by the alert.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned int in_size, void*) {
    static constexpr std::string_view kHttp = "http/1.1";
    for (unsigned int at = 0; at < in_size;) {
        const unsigned int size = in[at];
        if (at + 1 + size > in_size) break;
        if (std::string_view(reinterpret_cast<const char*>(in) + at + 1, size) == kHttp) {
            *out = in + at + 1;
            *out_size = static_cast<unsigned char>(size);
            return SSL_TLSEXT_ERR_OK;
        }
        at += 1 + size;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

SslContextPtr TlsContext::Impl::load() const {
    ERR_clear_error();
    SslContextPtr made(SSL_CTX_new(TLS_server_method()));
    if (!made) throw std::runtime_error("TLS: " + last_ssl_error());
    auto* ctx = made.get();
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(
        ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, nullptr);
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate_file.c_str()) != 1)
        throw std::runtime_error("TLS certificate " + certificate_file + ": " + last_ssl_error());
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        throw std::runtime_error("TLS key " + key_file + ": " + last_ssl_error());
    if (SSL_CTX_check_private_key(ctx) != 1)
        throw std::runtime_error("TLS key " + key_file + " does not belong to " + certificate_file);
    return made;
}

std::string TlsContext::Impl::fingerprint() const {
    std::string out;
    for (const auto& file : {certificate_file, key_file}) {
        struct stat st{};
        if (::stat(file.c_str(), &st) == 0)
            out += std::to_string(st.st_ino) + ':' + std::to_string(st.st_size) + ':' +
                   std::to_string(st.st_mtim.tv_sec) + '.' + std::to_string(st.st_mtim.tv_nsec) + ' ';
    }
    return out;
}

SslPtr TlsContext::Impl::session(int fd) const {
    const std::lock_guard lock(mutex);
    SslPtr made(SSL_new(context.get()));
    if (!made || SSL_set_fd(made.get(), fd) != 1) return nullptr;
    SSL_set_accept_state(made.get());
    return made;
}

TlsContext::TlsContext(std::string certificate_file, std::string key_file) : impl_(std::make_unique<Impl>()) {
    // OpenSSL writes with write(2): a peer that is gone must be an error code, not the end of the process.
    std::signal(SIGPIPE, SIG_IGN);
    impl_->certificate_file = std::move(certificate_file);
    impl_->key_file = std::move(key_file);
    impl_->seen = impl_->fingerprint();
    impl_->context = impl_->load();
}

TlsContext::~TlsContext() = default;

std::string TlsContext::reload() {
    try {
        auto seen = impl_->fingerprint();
        auto fresh = impl_->load();
        const std::lock_guard lock(impl_->mutex);
        impl_->context.swap(fresh);
        impl_->seen = std::move(seen);
        return "";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

std::optional<std::string> TlsContext::reload_if_changed() {
    {
        auto now = impl_->fingerprint();
        const std::lock_guard lock(impl_->mutex);
        if (now == impl_->seen) return std::nullopt;
        impl_->seen = std::move(now);
    }
    return reload();
}

std::optional<std::int64_t> TlsContext::expires_at() const {
    const std::lock_guard lock(impl_->mutex);
    const auto* certificate = SSL_CTX_get0_certificate(impl_->context.get());
    std::tm end{};
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return std::nullopt;
    return timegm(&end);
}

}  // namespace supd::net
