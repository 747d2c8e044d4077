// The rule of refresh tokens, without HTTP.
#pragma once

#include "wire.hpp"

#include <supd/crypto/refresh_token.hpp>

namespace supd::accounts {

struct Rotation {
    std::optional<SignedIn> signed_in;  // empty: refused
    store::Revoked revoked;             // the session, when the token had been used by somebody else
};
Rotation rotate(db::Transaction& tx, const crypto::RefreshTokens& tokens, const std::string& token);

}  // namespace supd::accounts
