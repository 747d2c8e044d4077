#include "rotation.hpp"

namespace supd::accounts {

Rotation rotate(db::Transaction& tx, const crypto::RefreshTokens& tokens, const std::string& token) {
    Rotation out;
    if (!crypto::RefreshTokens::well_formed(token)) return out;
    const auto digest = crypto::RefreshTokens::hash(token);
    const auto hash = crypto::view_of(digest);
    // All exchanges of one session queue up here, so of twenty at once one rotates and the others see its
    // result.
    const auto session = store::lock_session_of_token(tx, hash);
    if (!session || !session->live) return out;

    const auto state = store::read_token(tx, hash);
    std::string successor;
    if (!state.used) {
        successor = tokens.successor(token);
        const auto successor_digest = crypto::RefreshTokens::hash(successor);
        store::use_token(tx, hash, crypto::view_of(successor_digest), session->id);
    } else if (state.in_retry_window && !state.successor_used) {
        successor = tokens.successor_with_hash(token, state.successor_hash);
    } else {
        out.revoked = store::revoke_session(tx, session->user, session->id, "refresh_reuse");
        return out;
    }
    // Empty when the secret was taken away in between: that ends what was signed with it, without a
    // suspicion.
    if (successor.empty()) return out;
    auto user = store::find_user(tx, session->user);
    auto device = store::find_device(tx, session->device);
    if (!user || !device) return out;
    SignedIn signed_in;
    signed_in.user = std::move(*user);
    signed_in.device = std::move(*device);
    signed_in.session = session->id;
    signed_in.refresh_token = std::move(successor);
    out.signed_in = std::move(signed_in);
    return out;
}

}  // namespace supd::accounts
