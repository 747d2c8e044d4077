// Refresh tokens: opaque, stored only as SHA-256. The successor of a token is HMAC(key, token), so that a
// client whose reply got lost can be given the same successor again although nobody stored it.
#pragma once

#include <supd/base/secret.hpp>
#include <supd/crypto/bytes.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace supd::crypto {

/// Immutable after construction; any thread.
class RefreshTokens {
public:
    /// secrets: current first, as for AccessTokens; the key is derived under a label of its own.
    explicit RefreshTokens(const std::vector<base::Secret>& secrets);

    static bool well_formed(std::string_view token) noexcept;
    static Digest hash(std::string_view token) { return sha256(token); }
    std::string successor(std::string_view token) const;
    /// The successor that was given under the current or an older key, recognised by its hash; empty if none.
    std::string successor_with_hash(std::string_view token, std::string_view hash) const;

private:
    std::vector<Digest> keys_;
};

}  // namespace supd::crypto
