#include <supd/accounts/restore.hpp>

namespace supd::accounts {
namespace {

// The row stays, because messages name their sender; what it says of the person goes.
constexpr db::Statement kDeleteAccounts{
    "accounts_delete_again",
    "update users u set status = 'deleted', is_admin = false, username = 'deleted-' || u.id, "
    "username_key = 'deleted-' || u.id, username_skeleton = 'deleted-' || u.id, display_name = '', bio = '', "
    "email = null, email_key = null, phone = null, password_hash = null, updated_at = now() "
    "from deletion_ledger l where l.kind = 'user' and l.id = u.id and u.status <> 'deleted'"};

constexpr db::Statement kEndSessions{
    "accounts_end_sessions_again",
    "update sessions s set revoked_at = clock_timestamp(), revoke_reason = 'revoked' from deletion_ledger l "
    "where s.revoked_at is null and "
    "((l.kind = 'session' and l.id = s.id) or (l.kind = 'user' and l.id = s.user_id))"};

constexpr db::Statement kEndAllSessions{
    "accounts_end_all_sessions",
    "update sessions set revoked_at = clock_timestamp(), revoke_reason = 'revoked' where revoked_at is null"};

}  // namespace

void erase_again(db::Transaction& tx) {
    tx.exec(kDeleteAccounts);
    tx.exec(kEndSessions);
}

void end_all_sessions(db::Transaction& tx) {
    tx.exec(kEndAllSessions);
}

}  // namespace supd::accounts
