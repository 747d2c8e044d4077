// The act that register and login share: a device and a session for a user, in the caller's transaction.
#pragma once

#include "wire.hpp"

namespace supd::accounts {

/// What a new session needs, made before the transaction because a transaction may run twice.
struct SessionSeed {
    base::SessionId session = base::SessionId::make();
    base::DeviceId device = base::DeviceId::make();
    std::string refresh_token;
    DeviceRequest request;
    Origin origin;
};
SessionSeed seed_session(DeviceRequest request, Origin origin);

/// The user's log and row must be locked, or new. Reuses the device the request names if it is the user's,
/// and ends the session it had.
SignedIn begin_session(db::Transaction& tx, User user, const SessionSeed& seed);

}  // namespace supd::accounts
