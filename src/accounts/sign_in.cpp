#include "sign_in.hpp"

#include "frames.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/crypto/refresh_token.hpp>

namespace supd::accounts {

SessionSeed seed_session(DeviceRequest request, Origin origin) {
    SessionSeed seed;
    seed.refresh_token = crypto::random_token();
    seed.request = std::move(request);
    seed.origin = std::move(origin);
    return seed;
}

SignedIn begin_session(db::Transaction& tx, User user, const SessionSeed& seed) {
    SignedIn out;
    std::optional<Device> known;
    // The lock keeps two sign-ins on one device from both ending the old session and both starting one.
    if (seed.request.id) known = store::lock_device(tx, user.id, *seed.request.id);
    if (known) {
        out.replaced = store::revoke_sessions_of_device(tx, known->id, "replaced");
        out.device = store::refresh_device(tx, known->id, seed.request);
    } else {
        out.device = store::insert_device(tx, user.id, seed.device, seed.request);
        out.events.push_back(tell_device_added(tx, user.id, out.device));
        for (const auto stale :
             store::remove_stale_devices(tx, user.id, static_cast<int>(kMaxDevicesPerUser))) {
            const auto ended = store::revoke_sessions_of_device(tx, stale, "device_removed");
            out.replaced.insert(out.replaced.end(), ended.begin(), ended.end());
            out.events.push_back(tell_device_removed(tx, user.id, stale));
        }
    }
    out.session = seed.session;
    out.refresh_token = seed.refresh_token;
    store::insert_session(tx, seed.session, user.id, out.device.id, seed.origin);
    store::insert_token(tx, crypto::view_of(crypto::RefreshTokens::hash(seed.refresh_token)), seed.session);
    out.user = std::move(user);
    return out;
}

}  // namespace supd::accounts
