// Access tokens: JWT (RFC 7519) signed with HS256 and nothing else. Only supd reads what supd wrote, so a
// token has exactly one spelling: header and claims must match byte for byte what sign() writes, and anything
// else - another alg or typ, jku, jwk, crit, claims in another order, doubled, missing, or of another type -
// is refused without being interpreted.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/base/secret.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace supd::crypto {

inline constexpr std::size_t kMaxAccessToken = 2048;
inline constexpr std::size_t kMinSecretBytes = 32;
/// Clocks of two nodes may differ by this much.
inline constexpr std::chrono::seconds kClockLeeway{5};

struct AccessClaims {
    base::UserId user;        // sub
    base::SessionId session;  // sid
    base::DeviceId device;    // did
    std::int64_t issued_at_s = 0;
    std::int64_t expires_at_s = 0;
};

enum class TokenFault { none, invalid, expired };

/// Immutable after construction; any thread.
class AccessTokens {
public:
    /// secrets: current first (it signs), the others only verify. Signing keys and `kid` are derived from
    /// them. issuer goes into iss, "supd" into aud. Throws std::invalid_argument for no or short secrets, or
    /// an issuer outside [A-Za-z0-9.:/_-].
    AccessTokens(const std::vector<base::Secret>& secrets, const std::string& issuer,
                 std::chrono::seconds lifetime);
    ~AccessTokens();

    std::string sign(base::UserId user, base::SessionId session, base::DeviceId device,
                     base::Millis now_ms) const;
    /// expired: genuine but past exp. claims is written only for none.
    TokenFault verify(std::string_view token, base::Millis now_ms, AccessClaims& claims) const noexcept;
    std::chrono::seconds lifetime() const noexcept { return lifetime_; }

private:
    struct Key;
    std::vector<Key> keys_;
    std::string claims_prefix_;
    std::chrono::seconds lifetime_;
};

}  // namespace supd::crypto
