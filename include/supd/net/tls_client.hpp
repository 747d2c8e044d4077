// The other side of TLS (RFC 8446): a connection that supd makes. The server's certificate is always
// verified, with its name or address (RFC 6125). Thread-safe after construction.
#pragma once

#include <supd/net/stream.hpp>

#include <memory>
#include <string>

namespace supd::net {

class TlsClient {
public:
    /// `ca_file`: PEM of the authorities that are trusted instead of the system's; empty = the system's.
    /// Throws std::runtime_error with a text for the operator.
    explicit TlsClient(const std::string& ca_file);
    ~TlsClient();
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;

    /// Takes over a socket that is connected to `host`, on its io thread. The handshake is made by the first
    /// reads and writes; a peer that cannot prove its name is IoState::closed for both. Null: out of memory.
    std::unique_ptr<Stream> make_stream(TcpSocket socket, const std::string& host) const;

    /// Of a stream that make_stream made and that has closed: why there was no handshake, for the operator
    /// (the certificate, the version, no end within the deadline). Empty when there was one, and for plain
    /// streams.
    static std::string fault_of(const Stream& stream);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::net
