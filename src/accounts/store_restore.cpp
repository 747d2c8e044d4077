#include <supd/accounts/restore.hpp>

namespace supd::accounts {
namespace {

constexpr db::Statement kEndAllSessions{
    "accounts_end_all_sessions",
    "update sessions set revoked_at = clock_timestamp(), revoke_reason = 'revoked' where revoked_at is null"};

}  // namespace

void end_all_sessions(db::Transaction& tx) {
    tx.exec(kEndAllSessions);
}

}  // namespace supd::accounts
