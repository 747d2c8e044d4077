#include <supd/net/outbound.hpp>

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

namespace supd::net {
namespace {

using Kind = OutboundError::Kind;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 * 1024;

struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* session) const { SSL_free(session); }
    void operator()(X509* certificate) const { X509_free(certificate); }
};

std::string ssl_error() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
    return text == nullptr ? "the connection was closed in the handshake" : text;
}

std::string name_text(const X509_NAME* name) {
    std::array<char, 256> text{};
    X509_NAME_oneline(name, text.data(), static_cast<int>(text.size()));
    return text.data();
}

std::int64_t seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

bool is_address(const std::string& host) {
    std::array<unsigned char, 16> bytes{};
    return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses addresses_of(const std::string& host, std::uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* list = nullptr;
    const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (failed != 0) throw OutboundError(Kind::resolve, host + ": " + ::gai_strerror(failed));
    return {list, ::freeaddrinfo};
}

std::atomic<int> g_look_ups{0};

// One of kMaxLookUps places, given back by whoever holds it last.
class LookUp {
public:
    explicit LookUp(const std::string& host) {
        if (g_look_ups.fetch_add(1) < kMaxLookUps) return;
        g_look_ups.fetch_sub(1);
        throw OutboundError(Kind::resolve, host + ": too many look-ups are under way");
    }
    LookUp(LookUp&& other) noexcept : held_(std::exchange(other.held_, false)) {}
    LookUp& operator=(LookUp&&) = delete;
    ~LookUp() {
        if (held_) g_look_ups.fetch_sub(1);
    }

private:
    bool held_ = true;
};

// Nothing interrupts getaddrinfo, which takes half a minute while no name server answers. So it runs on a
// thread that shares nothing but the promise, and is left alone when it is late.
Addresses look_up(const std::string& host, std::uint16_t port, SteadyClock::time_point until) {
    if (is_address(host)) return addresses_of(host, port, AI_NUMERICHOST);
    LookUp place(host);
    std::promise<Addresses> promise;
    auto found = promise.get_future();
    try {
        std::thread([host, port, place = std::move(place), promise = std::move(promise)]() mutable {
            try {
                promise.set_value(addresses_of(host, port, 0));
            } catch (...) {
                promise.set_exception(std::current_exception());
            }
        }).detach();
    } catch (const std::system_error& error) {
        throw OutboundError(Kind::resolve, host + ": no thread to look it up: " + error.what());
    }
    // Also one that is found late is late: the deadline alone decides, not which thread was faster.
    if (found.wait_until(until) != std::future_status::ready || SteadyClock::now() >= until)
        throw OutboundError(Kind::resolve, host + ": the name was not found in time");
    return found.get();
}

}  // namespace

struct Outbound::Impl {
    OutboundOptions options;
    SteadyClock::time_point until;
    int fd = -1;
    std::unique_ptr<SSL_CTX, Free> context;
    std::unique_ptr<SSL, Free> session;
    std::optional<PeerCertificate> certificate;

    explicit Impl(OutboundOptions given)
        : options(std::move(given)), until(SteadyClock::now() + options.timeout) {}
    ~Impl() {
        if (fd >= 0) ::close(fd);
    }

    std::string where() const { return options.host + " port " + std::to_string(options.port); }

    void wait(short events) const {
        for (;;) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now()).count();
            pollfd one{.fd = fd, .events = events, .revents = 0};
            const int ready = left <= 0 ? 0 : ::poll(&one, 1, static_cast<int>(left));
            if (ready > 0) return;
            if (ready == 0) throw OutboundError(Kind::timeout, where() + ": no answer in time");
            if (errno != EINTR) throw OutboundError(Kind::broken, where() + ": " + std::strerror(errno));
        }
    }

    // 0, or why not.
    int try_address(const addrinfo& address) {
        fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return errno;
        int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS) {
            wait(POLLOUT);
            socklen_t size = sizeof error;
            ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
        if (error != 0) ::close(std::exchange(fd, -1));
        return error;
    }

    void connect() {
        const auto found = look_up(options.host, options.port, until);
        int error = ECONNREFUSED;
        for (const auto* one = found.get(); one != nullptr && fd < 0; one = one->ai_next)
            error = try_address(*one);
        if (fd < 0) throw OutboundError(Kind::connect, where() + ": " + std::strerror(error));
    }

    // Runs an SSL call until it is through; its result, 0 at the end of the stream.
    template <class Call>
    int through(Call call) {
        for (;;) {
            ERR_clear_error();
            const int done = call();
            if (done > 0) return done;
            switch (SSL_get_error(session.get(), done)) {
                case SSL_ERROR_WANT_READ:
                    wait(POLLIN);
                    break;
                case SSL_ERROR_WANT_WRITE:
                    wait(POLLOUT);
                    break;
                case SSL_ERROR_ZERO_RETURN:
                    return 0;
                default:
                    throw OutboundError(Kind::tls, where() + ": " + ssl_error());
            }
        }
    }

    void shake_hands() {
        // OpenSSL writes with write(2): a peer that is gone must be an error code, not the end of the
        // process.
        std::signal(SIGPIPE, SIG_IGN);
        context.reset(SSL_CTX_new(TLS_client_method()));
        if (options.ca_file.empty())
            SSL_CTX_set_default_verify_paths(context.get());
        else if (SSL_CTX_load_verify_file(context.get(), options.ca_file.c_str()) != 1)
            throw OutboundError(Kind::tls, options.ca_file + ": " + ssl_error());
        SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
        SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_verify(context.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
        session.reset(SSL_new(context.get()));
        const char* host = options.host.c_str();
        if (is_address(options.host)) {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session.get()), host);
        } else {
            SSL_set1_host(session.get(), host);
            SSL_ctrl(session.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     options.host.data());
        }
        SSL_set_fd(session.get(), fd);
        try {
            through([this] { return SSL_connect(session.get()); });
        } catch (const OutboundError& error) {
            const auto verdict = SSL_get_verify_result(session.get());
            if (error.kind() != Kind::tls || verdict == X509_V_OK) throw;
            throw OutboundError(Kind::tls, where() + ": certificate verify failed: " +
                                               X509_verify_cert_error_string(verdict));
        }
        read_certificate();
    }

    void read_certificate() {
        const std::unique_ptr<X509, Free> shown(SSL_get1_peer_certificate(session.get()));
        if (!shown) return;
        PeerCertificate out;
        out.subject = name_text(X509_get_subject_name(shown.get()));
        out.issuer = name_text(X509_get_issuer_name(shown.get()));
        out.not_before = seconds_of(X509_get0_notBefore(shown.get()));
        out.not_after = seconds_of(X509_get0_notAfter(shown.get()));
        out.protocol = SSL_get_version(session.get());
        const auto* chain = SSL_get_peer_cert_chain(session.get());
        out.sent = chain == nullptr ? 0 : static_cast<std::size_t>(sk_X509_num(chain));
        const auto verdict = SSL_get_verify_result(session.get());
        if (verdict != X509_V_OK) out.fault = X509_verify_cert_error_string(verdict);
        certificate = std::move(out);
    }
};

Outbound::Outbound(OutboundOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
    impl_->connect();
    if (impl_->options.tls) impl_->shake_hands();
}

Outbound::~Outbound() = default;

void Outbound::write(std::string_view bytes) {
    while (!bytes.empty()) {
        std::size_t taken = 0;
        if (impl_->session) {
            const int size = static_cast<int>(std::min(bytes.size(), kReadBytes));
            taken = static_cast<std::size_t>(
                impl_->through([&] { return SSL_write(impl_->session.get(), bytes.data(), size); }));
            if (taken == 0) throw OutboundError(Kind::broken, impl_->where() + ": closed");
        } else {
            const auto sent = ::send(impl_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN && errno != EINTR)
                throw OutboundError(Kind::broken, impl_->where() + ": " + std::strerror(errno));
            if (sent < 0) impl_->wait(POLLOUT);
            taken = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
        }
        bytes.remove_prefix(taken);
    }
}

std::string Outbound::read() {
    std::string out(kReadBytes, '\0');
    if (impl_->session) {
        out.resize(static_cast<std::size_t>(impl_->through(
            [&] { return SSL_read(impl_->session.get(), out.data(), static_cast<int>(kReadBytes)); })));
        return out;
    }
    for (;;) {
        const auto got = ::recv(impl_->fd, out.data(), out.size(), 0);
        if (got >= 0) {
            out.resize(static_cast<std::size_t>(got));
            return out;
        }
        if (errno != EAGAIN && errno != EINTR)
            throw OutboundError(Kind::broken, impl_->where() + ": " + std::strerror(errno));
        impl_->wait(POLLIN);
    }
}

void Outbound::allow(std::chrono::milliseconds timeout) {
    impl_->until = SteadyClock::now() + timeout;
}

const std::optional<PeerCertificate>& Outbound::certificate() const noexcept {
    return impl_->certificate;
}

std::string Outbound::local_address() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    std::array<char, NI_MAXHOST> text{};
    if (::getsockname(impl_->fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0)
        return "";
    return text.data();
}

}  // namespace supd::net
