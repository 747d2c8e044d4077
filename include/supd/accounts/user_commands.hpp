// What `supd user ...` does, on a connection of its own beside the running daemon. Each prints to `out`,
// explains a refusal on `err` and returns an exit code of sysexits(3): 0, 65 refused input, 67 no such user,
// 73 name taken. The running daemon learns of revoked sessions and new administrators by its poll.
#pragma once

#include <supd/crypto/password.hpp>
#include <supd/db/database.hpp>

#include <iosfwd>
#include <string>

namespace supd::accounts {

/// Where the password comes from: the first line of `from`, or (null) a random one that is printed.
struct PasswordSource {
    std::istream* from = nullptr;
    crypto::PasswordProfile profile = crypto::PasswordProfile::moderate;
};

int create_user(db::Connection& connection, const std::string& name, bool admin, PasswordSource password,
                std::ostream& out, std::ostream& err);
int list_users(db::Connection& connection, bool json, std::ostream& out, std::ostream& err);
/// Revokes all sessions; the account cannot sign in until enable_user.
int disable_user(db::Connection& connection, const std::string& name, std::ostream& out, std::ostream& err);
int enable_user(db::Connection& connection, const std::string& name, std::ostream& out, std::ostream& err);
/// Revokes all sessions.
int reset_password(db::Connection& connection, const std::string& name, PasswordSource password,
                   std::ostream& out, std::ostream& err);
int make_admin(db::Connection& connection, const std::string& name, std::ostream& out, std::ostream& err);

}  // namespace supd::accounts
