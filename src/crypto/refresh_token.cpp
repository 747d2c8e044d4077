#include <supd/crypto/refresh_token.hpp>

#include <stdexcept>

namespace supd::crypto {

RefreshTokens::RefreshTokens(const std::vector<base::Secret>& secrets) {
    if (secrets.empty()) throw std::invalid_argument("no secret for refresh tokens");
    for (const auto& secret : secrets)
        keys_.push_back(hmac_sha256(secret.reveal(), "supd refresh successor v1"));
}

bool RefreshTokens::well_formed(std::string_view token) noexcept {
    Digest bytes;
    return token.size() == kTokenText && from_base64url(token, bytes);
}

std::string RefreshTokens::successor(std::string_view token) const {
    return base64url(hmac_sha256(view_of(keys_.front()), token));
}

std::string RefreshTokens::successor_with_hash(std::string_view token, std::string_view hash_of_it) const {
    for (const auto& key : keys_) {
        auto candidate = base64url(hmac_sha256(view_of(key), token));
        if (constant_time_equal(view_of(hash(candidate)), hash_of_it)) return candidate;
    }
    return {};
}

}  // namespace supd::crypto
