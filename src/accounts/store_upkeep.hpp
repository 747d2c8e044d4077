// SQL of accounts that no request runs: the revocation poll, the clean-up job, and the `supd user` commands.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/db/transaction.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace supd::accounts::store {

struct RevokedLately {
    base::Millis now_ms = 0;  // of the database
    std::vector<base::SessionId> sessions;
    std::vector<base::Uuid> admins;
};
/// Sessions revoked after `since_ms` (database time); since_ms 0: within `window` of now.
RevokedLately revoked_lately(db::Transaction& tx, base::Millis since_ms, std::chrono::seconds window);

/// Each deletes at most kExpireBatch rows and returns how many.
std::size_t delete_used_tokens(db::Transaction& tx);
std::size_t delete_ended_sessions(db::Transaction& tx);

std::optional<base::UserId> user_by_name(db::Transaction& tx, const std::string& username_key);
struct ListedUser {
    std::string id, username, status;
    bool admin = false;
    base::Millis created_at = 0;
};
/// A page by username key, after `after` (empty: from the start).
std::vector<ListedUser> list_users(db::Transaction& tx, const std::string& after, int limit,
                                   std::string& last_key);
void set_status(db::Transaction& tx, base::UserId id, std::string_view status);
void set_password(db::Transaction& tx, base::UserId id, const std::string& hash);
void set_admin(db::Transaction& tx, base::UserId id);

}  // namespace supd::accounts::store
