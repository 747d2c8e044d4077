#include "store_upkeep.hpp"

#include <supd/accounts/limits.hpp>

namespace supd::accounts::store {
namespace {

constexpr db::Statement kDatabaseNow{"accounts_now",
                                     "select (extract(epoch from clock_timestamp()) * 1000)::bigint"};
constexpr db::Statement kRevokedSince{"accounts_revoked_since",
                                      "select id from sessions where revoked_at is not null and revoked_at > "
                                      "to_timestamp($1::bigint / 1000.0)"};
constexpr db::Statement kAdmins{"accounts_admins",
                                "select id from users where is_admin and status = 'active'"};

constexpr db::Statement kDeleteUsedTokens{
    "accounts_delete_used_tokens",
    "delete from refresh_tokens where hash in (select hash from refresh_tokens where used_at is not null and "
    "used_at < now() - make_interval(hours => $1) limit $2)"};
// Its tokens go by the foreign key. A session that expired was never marked: both kinds end here.
constexpr db::Statement kDeleteRevokedSessions{
    "accounts_delete_revoked_sessions",
    "delete from sessions where id in (select id from sessions where revoked_at is not null and "
    "revoked_at < now() - make_interval(hours => $1) limit $2)"};
constexpr db::Statement kDeleteExpiredSessions{
    "accounts_delete_expired_sessions",
    "delete from sessions where id in (select id from sessions where revoked_at is null and "
    "expires_at < now() - make_interval(hours => $1) limit $2)"};

constexpr db::Statement kUserByName{
    "accounts_user_by_name",
    "select id from users where username_key = $1 and status <> 'deleted' for update"};
constexpr db::Statement kListUsers{
    "accounts_list_users",
    "select id, username, status, is_admin, (extract(epoch from created_at) * 1000)::bigint, username_key "
    "from users where username_key > $1 order by username_key limit $2"};
constexpr db::Statement kSetStatus{"accounts_set_status",
                                   "update users set status = $2, updated_at = now() where id = $1"};
constexpr db::Statement kSetPassword{"accounts_set_password",
                                     "update users set password_hash = $2, updated_at = now() where id = $1"};
constexpr db::Statement kSetAdmin{"accounts_set_admin",
                                  "update users set is_admin = true, updated_at = now() where id = $1"};

}  // namespace

RevokedLately revoked_lately(db::Transaction& tx, base::Millis since_ms, std::chrono::seconds window) {
    RevokedLately out;
    out.now_ms = tx.exec(kDatabaseNow).front().integer(0);
    if (since_ms == 0) since_ms = out.now_ms - std::chrono::milliseconds(window).count();
    for (const auto row : tx.exec(kRevokedSince, since_ms))
        out.sessions.push_back(row.id<base::SessionId>(0));
    for (const auto row : tx.exec(kAdmins))
        out.admins.push_back(row.id<base::UserId>(0).bytes);
    return out;
}

std::size_t delete_used_tokens(db::Transaction& tx) {
    return tx.exec(kDeleteUsedTokens, static_cast<int>(kUsedTokenKept.count()), kExpireBatch).affected();
}

std::size_t delete_ended_sessions(db::Transaction& tx) {
    const auto hours = static_cast<int>(kEndedSessionKept.count());
    return tx.exec(kDeleteRevokedSessions, hours, kExpireBatch).affected() +
           tx.exec(kDeleteExpiredSessions, hours, kExpireBatch).affected();
}

std::optional<base::UserId> user_by_name(db::Transaction& tx, const std::string& username_key) {
    const auto rows = tx.exec(kUserByName, username_key);
    return rows.empty() ? std::nullopt : std::optional(rows.front().id<base::UserId>(0));
}

std::vector<ListedUser> list_users(db::Transaction& tx, const std::string& after, int limit,
                                   std::string& last_key) {
    std::vector<ListedUser> out;
    for (const auto row : tx.exec(kListUsers, after, limit)) {
        ListedUser user;
        user.id = row.text(0);
        user.username = row.text(1);
        user.status = row.text(2);
        user.admin = row.flag(3);
        user.created_at = row.integer(4);
        out.push_back(std::move(user));
        last_key = row.text(5);
    }
    return out;
}

void set_status(db::Transaction& tx, base::UserId id, std::string_view status) {
    tx.exec(kSetStatus, id, status);
}

void set_password(db::Transaction& tx, base::UserId id, const std::string& hash) {
    tx.exec(kSetPassword, id, hash);
}

void set_admin(db::Transaction& tx, base::UserId id) {
    tx.exec(kSetAdmin, id);
}

}  // namespace supd::accounts::store
