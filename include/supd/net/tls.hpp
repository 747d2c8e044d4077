// The server's certificate (TLS 1.2 and 1.3, RFC 8446). Can be replaced while serving: connections made later
// use the new one. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace supd::net {

class TlsContext {
public:
    /// PEM files: certificate chain and its private key. Throws std::runtime_error with a text for the
    /// operator.
    TlsContext(std::string certificate_file, std::string key_file);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    /// Reads the files again. On a fault keeps what it has and returns the reason; empty = replaced.
    std::string reload();
    /// reload() when a file's time or size has changed since the last attempt; nullopt when none has.
    std::optional<std::string> reload_if_changed();
    /// When the certificate now in use ends, seconds since the epoch; nullopt when it does not say.
    std::optional<std::int64_t> expires_at() const;

    struct Impl;  ///< src/net only
    Impl& impl() const noexcept { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::net
