// One connection from supd to somewhere else, plain or TLS: blocking, with one deadline for all of it. For
// commands and for threads of their own, never on an io thread. One thread at a time. The trusted roots are
// OpenSSL's (SSL_CERT_FILE, SSL_CERT_DIR). A name is looked up on a thread of its own, which the deadline
// leaves behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace supd::net {

struct OutboundOptions {
    std::string host;  ///< name or address; an IPv6 address without brackets
    std::uint16_t port = 0;
    bool tls = false;
    bool verify = true;   ///< false: an untrusted certificate is told by certificate() and no error
    std::string ca_file;  ///< PEM; trusted instead of OpenSSL's roots
    std::chrono::milliseconds timeout{5000};  ///< from the constructor to the end of the last call
};

/// Look-ups at once that no name server has answered, in the process; more are refused.
inline constexpr int kMaxLookUps = 8;

class OutboundError : public std::runtime_error {
public:
    enum class Kind { resolve, connect, tls, timeout, broken };
    OutboundError(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
    Kind kind() const noexcept { return kind_; }

private:
    Kind kind_;
};

/// What a TLS server showed.
struct PeerCertificate {
    std::string subject;
    std::string issuer;
    std::int64_t not_before = 0;  ///< seconds since the epoch
    std::int64_t not_after = 0;
    std::size_t sent = 0;  ///< certificates it sent: 1 = no intermediate
    std::string fault;     ///< why it is not to be trusted for this host; empty = it is
    std::string protocol;  ///< "TLSv1.3"
};

class Outbound {
public:
    /// Connects (and shakes hands). Every call throws OutboundError.
    explicit Outbound(OutboundOptions options);
    ~Outbound();
    Outbound(const Outbound&) = delete;
    Outbound& operator=(const Outbound&) = delete;

    void write(std::string_view bytes);
    /// What is there, at least one byte; empty at the end of the stream.
    std::string read();
    /// A new deadline, from now on.
    void allow(std::chrono::milliseconds timeout);

    const std::optional<PeerCertificate>& certificate() const noexcept;
    /// The address of this end, without a port.
    std::string local_address() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::net
