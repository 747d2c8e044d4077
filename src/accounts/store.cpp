#include "store.hpp"

#include <supd/accounts/limits.hpp>

namespace supd::accounts::store {
namespace {

#define SUPD_MS(column) "(extract(epoch from " column ") * 1000)::bigint"
#define SUPD_USER_COLUMNS \
    "id, username, display_name, email, phone, is_admin, status = 'active', " SUPD_MS("created_at") ", bio"
#define SUPD_DEVICE_COLUMNS \
    "d.id, d.name, d.platform, " SUPD_MS("d.created_at") ", " SUPD_MS("d.last_seen_at")

User read_user(const db::Row& row) {
    User user;
    user.id = row.id<base::UserId>(0);
    user.username = row.text(1);
    user.display_name = row.text(2);
    user.email = row.maybe_text(3);
    user.phone = row.maybe_text(4);
    user.admin = row.flag(5);
    user.active = row.flag(6);
    user.created_at = row.integer(7);
    user.bio = row.text(8);
    return user;
}

Device read_device(const db::Row& row) {
    Device device;
    device.id = row.id<base::DeviceId>(0);
    device.name = row.text(1);
    device.platform = row.text(2);
    device.created_at = row.integer(3);
    device.last_seen_at = row.integer(4);
    return device;
}

Revoked read_revoked(const db::Rows& rows) {
    Revoked out;
    for (const auto row : rows)
        out.push_back(row.id<base::SessionId>(0));
    return out;
}

std::optional<SignIn> read_sign_in(const db::Rows& rows) {
    if (rows.empty()) return std::nullopt;
    return SignIn{rows.front().id<base::UserId>(0), rows.front().maybe_text(1)};
}

constexpr db::Statement kInsertUser{
    "accounts_insert_user",
    "insert into users (id, username, username_key, username_skeleton, display_name, email, email_key, "
    "phone, "
    "password_hash, is_admin) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"};
constexpr db::Statement kFindUser{
    "accounts_find_user", "select " SUPD_USER_COLUMNS " from users where id = $1 and status <> 'deleted'"};
constexpr db::Statement kSignInByName{
    "accounts_sign_in_by_name",
    "select id, password_hash from users where username_key = $1 and status = 'active'"};
constexpr db::Statement kSignInByEmail{
    "accounts_sign_in_by_email",
    "select id, password_hash from users where email_key = $1 and status = 'active'"};
constexpr db::Statement kSignInById{
    "accounts_sign_in_by_id", "select id, password_hash from users where id = $1 and status = 'active'"};
constexpr db::Statement kLockUser{
    "accounts_lock_user", "select " SUPD_USER_COLUMNS
                          " from users where id = $1 and status = 'active' and password_hash = $2 for share"};
constexpr db::Statement kReplacePassword{
    "accounts_replace_password",
    "update users set password_hash = $3, updated_at = now() where id = $1 and password_hash = $2"};
constexpr db::Statement kUpdateProfile{
    "accounts_update_profile",
    "update users set display_name = coalesce($2, display_name), bio = coalesce($8, bio), "
    "email = case when $3 then $4 else email end, email_key = case when $3 then $5 else email_key end, "
    "phone = case when $6 then $7 else phone end, updated_at = now() "
    "where id = $1 and status = 'active' returning " SUPD_USER_COLUMNS};

constexpr db::Statement kLockDevice{
    "accounts_lock_device", "select " SUPD_DEVICE_COLUMNS
                            " from user_devices d where user_id = $1 and id = $2 and removed_at is null "
                            "for update"};
constexpr db::Statement kInsertDevice{"accounts_insert_device",
                                      "insert into user_devices as d (id, user_id, name, platform) "
                                      "values ($1, $2, $3, $4) returning " SUPD_DEVICE_COLUMNS};
// An empty name or platform was not given: what is known stays.
constexpr db::Statement kRefreshDevice{
    "accounts_refresh_device",
    "update user_devices as d set last_seen_at = now(), name = coalesce(nullif($2, ''), name), "
    "platform = coalesce(nullif($3, ''), platform) where id = $1 returning " SUPD_DEVICE_COLUMNS};
constexpr db::Statement kFindDevice{"accounts_find_device",
                                    "select " SUPD_DEVICE_COLUMNS " from user_devices d where id = $1"};
// A refresh touches the session only (one lock less); the later of the two times is when the device was seen.
constexpr db::Statement kListDevices{
    "accounts_list_devices",
    "select d.id, d.name, d.platform, " SUPD_MS("d.created_at") ", "
    SUPD_MS("greatest(d.last_seen_at, s.last_used_at)")
    " from user_devices d left join sessions s on s.device_id = d.id and s.revoked_at is null "
    "where d.user_id = $1 and d.removed_at is null and ($2::uuid is null or d.id < $2) order by d.id desc limit $3"};
constexpr db::Statement kRemoveDevice{"accounts_remove_device",
                                      "update user_devices set removed_at = now() "
                                      "where user_id = $1 and id = $2 and removed_at is null"};
constexpr db::Statement kRemoveStaleDevices{
    "accounts_remove_stale_devices",
    "update user_devices set removed_at = now() where id in (select d.id from user_devices d "
    "left join sessions s on s.device_id = d.id and s.revoked_at is null "
    "where d.user_id = $1 and d.removed_at is null "
    "order by greatest(d.last_seen_at, s.last_used_at) desc, d.id desc offset $2) returning id"};

constexpr db::Statement kInsertSession{
    "accounts_insert_session",
    "insert into sessions (id, user_id, device_id, expires_at, remote_address, user_agent) "
    "values ($1, $2, $3, now() + make_interval(secs => $4), $5, $6)"};
constexpr db::Statement kListSessions{
    "accounts_list_sessions",
    "select " SUPD_DEVICE_COLUMNS ", s.id, " SUPD_MS("s.created_at") ", " SUPD_MS("s.last_used_at")
    ", s.remote_address, s.user_agent from sessions s join user_devices d on d.id = s.device_id "
    "where s.user_id = $1 and s.revoked_at is null and s.expires_at > now() and ($2::uuid is null or s.id < $2) "
    "order by s.id desc limit $3"};
constexpr db::Statement kRevokeSession{
    "accounts_revoke_session",
    "update sessions set revoked_at = clock_timestamp(), revoke_reason = $3 "
    "where user_id = $1 and id = $2 and revoked_at is null returning id"};
constexpr db::Statement kRevokeOfDevice{
    "accounts_revoke_of_device",
    "update sessions set revoked_at = clock_timestamp(), revoke_reason = $2 "
    "where device_id = $1 and revoked_at is null returning id"};
constexpr db::Statement kRevokeOfUser{
    "accounts_revoke_of_user",
    "update sessions set revoked_at = clock_timestamp(), revoke_reason = $3 "
    "where user_id = $1 and revoked_at is null and ($2::uuid is null or id <> $2) returning id"};

constexpr db::Statement kLockSessionOfToken{
    "accounts_lock_session_of_token",
    "select s.id, s.user_id, s.device_id, "
    "s.revoked_at is null and s.expires_at > now() and "
    "exists (select from users u where u.id = s.user_id and u.status = 'active') "
    "from sessions s where s.id = (select t.session_id from refresh_tokens t where t.hash = $1) for update "
    "of s"};
constexpr db::Statement kReadToken{
    "accounts_read_token",
    "select t.used_at is not null, coalesce(t.used_at > clock_timestamp() - make_interval(secs => $2), "
    "false), "
    "t.successor_hash, coalesce(n.used_at is not null, false) from refresh_tokens t "
    "left join refresh_tokens n on n.hash = t.successor_hash where t.hash = $1"};
constexpr db::Statement kInsertToken{"accounts_insert_token",
                                     "insert into refresh_tokens (hash, session_id) values ($1, $2)"};
constexpr db::Statement kUseToken{"accounts_use_token",
                                  "update refresh_tokens set used_at = clock_timestamp(), successor_hash = "
                                  "$2 where hash = $1 and used_at is null"};
constexpr db::Statement kProlongSession{"accounts_prolong_session",
                                        "update sessions set last_used_at = now(), "
                                        "expires_at = now() + make_interval(secs => $2) where id = $1"};

}  // namespace

void insert_user(db::Transaction& tx, const NewUser& user) {
    tx.exec(kInsertUser, user.id, user.username, user.username_key, user.username_skeleton, user.display_name,
            user.email, user.email_key, user.phone, user.password_hash, user.admin);
}

std::optional<User> find_user(db::Transaction& tx, base::UserId id) {
    const auto rows = tx.exec(kFindUser, id);
    return rows.empty() ? std::nullopt : std::optional(read_user(rows.front()));
}

std::optional<SignIn> find_sign_in(db::Transaction& tx, const std::string& key) {
    return read_sign_in(tx.exec(key.find('@') == std::string::npos ? kSignInByName : kSignInByEmail, key));
}

std::optional<SignIn> find_sign_in_by_id(db::Transaction& tx, base::UserId id) {
    return read_sign_in(tx.exec(kSignInById, id));
}

std::optional<User> lock_user_with_hash(db::Transaction& tx, base::UserId id,
                                        const std::string& password_hash) {
    const auto rows = tx.exec(kLockUser, id, password_hash);
    return rows.empty() ? std::nullopt : std::optional(read_user(rows.front()));
}

bool replace_password(db::Transaction& tx, base::UserId id, const std::string& old_hash,
                      const std::string& new_hash) {
    return tx.exec(kReplacePassword, id, old_hash, new_hash).affected() == 1;
}

std::optional<User> update_profile(db::Transaction& tx, base::UserId id, const ProfileChange& change) {
    const auto rows = tx.exec(kUpdateProfile, id, change.display_name, change.change_email, change.email,
                              change.email_key, change.change_phone, change.phone, change.bio);
    return rows.empty() ? std::nullopt : std::optional(read_user(rows.front()));
}

std::optional<Device> lock_device(db::Transaction& tx, base::UserId user, base::DeviceId id) {
    const auto rows = tx.exec(kLockDevice, user, id);
    return rows.empty() ? std::nullopt : std::optional(read_device(rows.front()));
}

Device insert_device(db::Transaction& tx, base::UserId user, base::DeviceId id,
                     const DeviceRequest& request) {
    const std::string name = request.name.empty() ? "Unknown device" : request.name;
    const std::string platform = request.platform.empty() ? "other" : request.platform;
    return read_device(tx.exec(kInsertDevice, id, user, name, platform).front());
}

Device refresh_device(db::Transaction& tx, base::DeviceId id, const DeviceRequest& request) {
    return read_device(tx.exec(kRefreshDevice, id, request.name, request.platform).front());
}

std::optional<Device> find_device(db::Transaction& tx, base::DeviceId id) {
    const auto rows = tx.exec(kFindDevice, id);
    return rows.empty() ? std::nullopt : std::optional(read_device(rows.front()));
}

std::vector<Device> list_devices(db::Transaction& tx, base::UserId user, std::optional<base::DeviceId> after,
                                 int limit) {
    std::vector<Device> out;
    for (const auto row : tx.exec(kListDevices, user, after, limit))
        out.push_back(read_device(row));
    return out;
}

bool remove_device(db::Transaction& tx, base::UserId user, base::DeviceId id) {
    return tx.exec(kRemoveDevice, user, id).affected() == 1;
}

std::vector<base::DeviceId> remove_stale_devices(db::Transaction& tx, base::UserId user, int keep) {
    std::vector<base::DeviceId> out;
    for (const auto row : tx.exec(kRemoveStaleDevices, user, keep))
        out.push_back(row.id<base::DeviceId>(0));
    return out;
}

void insert_session(db::Transaction& tx, base::SessionId id, base::UserId user, base::DeviceId device,
                    const Origin& origin) {
    tx.exec(kInsertSession, id, user, device, std::int64_t{kSessionIdle.count()}, origin.remote_address,
            origin.user_agent);
}

std::vector<Session> list_sessions(db::Transaction& tx, base::UserId user,
                                   std::optional<base::SessionId> after, int limit) {
    std::vector<Session> out;
    for (const auto row : tx.exec(kListSessions, user, after, limit)) {
        Session session;
        session.device = read_device(row);
        session.id = row.id<base::SessionId>(5);
        session.created_at = row.integer(6);
        session.last_used_at = row.integer(7);
        session.remote_address = row.text(8);
        session.user_agent = row.text(9);
        out.push_back(std::move(session));
    }
    return out;
}

Revoked revoke_session(db::Transaction& tx, base::UserId user, base::SessionId id, std::string_view reason) {
    return read_revoked(tx.exec(kRevokeSession, user, id, reason));
}

Revoked revoke_sessions_of_device(db::Transaction& tx, base::DeviceId id, std::string_view reason) {
    return read_revoked(tx.exec(kRevokeOfDevice, id, reason));
}

Revoked revoke_sessions_of_user(db::Transaction& tx, base::UserId user, std::optional<base::SessionId> except,
                                std::string_view reason) {
    return read_revoked(tx.exec(kRevokeOfUser, user, except, reason));
}

std::optional<LockedSession> lock_session_of_token(db::Transaction& tx, std::string_view hash) {
    const auto rows = tx.exec(kLockSessionOfToken, db::Bytes{hash});
    if (rows.empty()) return std::nullopt;
    LockedSession session;
    session.id = rows.front().id<base::SessionId>(0);
    session.user = rows.front().id<base::UserId>(1);
    session.device = rows.front().id<base::DeviceId>(2);
    session.live = rows.front().flag(3);
    return session;
}

Token read_token(db::Transaction& tx, std::string_view hash) {
    const auto rows = tx.exec(kReadToken, db::Bytes{hash}, std::int64_t{kRefreshRetryWindow.count()});
    Token token;
    if (rows.empty()) return token;
    token.used = rows.front().flag(0);
    token.in_retry_window = rows.front().flag(1);
    if (!rows.front().is_null(2)) token.successor_hash = rows.front().bytes(2);
    token.successor_used = rows.front().flag(3);
    return token;
}

void insert_token(db::Transaction& tx, std::string_view hash, base::SessionId session) {
    tx.exec(kInsertToken, db::Bytes{hash}, session);
}

void use_token(db::Transaction& tx, std::string_view hash, std::string_view successor_hash,
               base::SessionId session) {
    tx.exec(kUseToken, db::Bytes{hash}, db::Bytes{successor_hash});
    insert_token(tx, successor_hash, session);
    tx.exec(kProlongSession, session, std::int64_t{kSessionIdle.count()});
}

}  // namespace supd::accounts::store
