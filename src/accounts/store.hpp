// All SQL of accounts. Synchronous, on a db thread. Lock order: user, device, session, token.
#pragma once

#include "types.hpp"

#include <supd/db/transaction.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace supd::accounts::store {

// ---- users
struct NewUser {
    base::UserId id;
    std::string username, username_key, username_skeleton, display_name;
    std::optional<std::string> email, email_key, phone;
    std::string password_hash;
    bool admin = false;
};
/// Throws db::ConstraintViolation when the name or the address is taken.
void insert_user(db::Transaction& tx, const NewUser& user);
std::optional<User> find_user(db::Transaction& tx, base::UserId id);

struct SignIn {
    base::UserId id;
    std::optional<std::string> password_hash;
};
/// By username, or by e-mail address when the key holds an '@'.
std::optional<SignIn> find_sign_in(db::Transaction& tx, const std::string& key);
std::optional<SignIn> find_sign_in_by_id(db::Transaction& tx, base::UserId id);
/// Locks the row against disabling and password changes until the end. Empty unless it is active and its hash
/// is still this one.
std::optional<User> lock_user_with_hash(db::Transaction& tx, base::UserId id,
                                        const std::string& password_hash);
/// False when the hash is not `old_hash` any more.
bool replace_password(db::Transaction& tx, base::UserId id, const std::string& old_hash,
                      const std::string& new_hash);

struct ProfileChange {
    std::optional<std::string> display_name, bio;
    bool change_email = false, change_phone = false;
    std::optional<std::string> email, email_key, phone;  // empty: cleared
};
std::optional<User> update_profile(db::Transaction& tx, base::UserId id, const ProfileChange& change);

// ---- devices
std::optional<Device> lock_device(db::Transaction& tx, base::UserId user, base::DeviceId id);
Device insert_device(db::Transaction& tx, base::UserId user, base::DeviceId id, const DeviceRequest& request);
Device refresh_device(db::Transaction& tx, base::DeviceId id, const DeviceRequest& request);
std::optional<Device> find_device(db::Transaction& tx, base::DeviceId id);
/// A page of live devices, newest first, after `after`.
std::vector<Device> list_devices(db::Transaction& tx, base::UserId user, std::optional<base::DeviceId> after,
                                 int limit);
/// False when the user has no such device.
bool remove_device(db::Transaction& tx, base::UserId user, base::DeviceId id);
/// Removes all but the `keep` devices seen last; returns those removed.
std::vector<base::DeviceId> remove_stale_devices(db::Transaction& tx, base::UserId user, int keep);

// ---- sessions
void insert_session(db::Transaction& tx, base::SessionId id, base::UserId user, base::DeviceId device,
                    const Origin& origin);
std::vector<Session> list_sessions(db::Transaction& tx, base::UserId user,
                                   std::optional<base::SessionId> after, int limit);
using Revoked = std::vector<base::SessionId>;
Revoked revoke_session(db::Transaction& tx, base::UserId user, base::SessionId id, std::string_view reason);
Revoked revoke_sessions_of_device(db::Transaction& tx, base::DeviceId id, std::string_view reason);
Revoked revoke_sessions_of_user(db::Transaction& tx, base::UserId user, std::optional<base::SessionId> except,
                                std::string_view reason);

// ---- refresh tokens
struct LockedSession {
    base::SessionId id;
    base::UserId user;
    base::DeviceId device;
    bool live = false;  // neither revoked nor expired, and its user is active
};
/// The session of a token, its row locked.
std::optional<LockedSession> lock_session_of_token(db::Transaction& tx, std::string_view hash);
struct Token {
    bool used = false;
    bool in_retry_window = false;
    std::string successor_hash;
    bool successor_used = false;
};
/// Under the lock of its session.
Token read_token(db::Transaction& tx, std::string_view hash);
void insert_token(db::Transaction& tx, std::string_view hash, base::SessionId session);
void use_token(db::Transaction& tx, std::string_view hash, std::string_view successor_hash,
               base::SessionId session);

}  // namespace supd::accounts::store
