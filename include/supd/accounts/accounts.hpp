// Accounts: registration, sign-in, sessions, devices and profiles. Owns the tables users, user_devices,
// sessions and refresh_tokens. Proves callers for http and ws (Authenticator). Announces dead sessions
// through Revocations.
#pragma once

#include <supd/accounts/revocations.hpp>
#include <supd/base/secret.hpp>
#include <supd/crypto/password.hpp>
#include <supd/http/router.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace supd::async {
class BlockingPool;
}
namespace supd::db {
class Transaction;
}
namespace supd::http {
class RateLimiter;
}
namespace supd::ws {
class Hub;
}

namespace supd::accounts {

struct Config {
    /// Current first, then those whose tokens are still accepted. Each at least kMinSecretBytes of
    /// <supd/crypto/access_token.hpp>; at least one.
    std::vector<base::Secret> secrets;
    std::string issuer = "supd";  ///< the server's name: [A-Za-z0-9.:/_-]
    crypto::PasswordProfile password_profile = crypto::PasswordProfile::moderate;
    bool registration_open = true;
};

struct Context;

/// Construct, load revocations, add routes; destroyed after the server has stopped. Thread-safe.
class Module final : public http::Authenticator {
public:
    /// limiter: the server's; sign-ins are also counted per identifier, from one address and from all. Throws
    /// std::invalid_argument for a configuration that cannot be used.
    Module(db::Database& database, async::BlockingPool& cpu, http::RateLimiter& limiter,
           Revocations& revocations, Config config);
    ~Module() override;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    /// Before serving only: the hub is handed what changes of devices add to the user's own log. Without it
    /// its sweep finds the entries.
    void tell_by(ws::Hub& hub);
    void add_routes(http::Router& router);
    /// A few microseconds, no lock, no database. Throws 401 `unauthenticated` or `token_expired`.
    http::Caller authenticate(std::string_view bearer_token) const override;

private:
    std::unique_ptr<Context> context_;
};

/// The job `accounts.expire_sessions`: deletes a batch of sessions and tokens that ended long ago. True when
/// there may be more.
bool expire_sessions(db::Transaction& tx);

}  // namespace supd::accounts
