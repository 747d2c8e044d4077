// What accounts have to say about a restored database. db thread, in the caller's transaction.
#pragma once

#include <supd/db/transaction.hpp>

namespace supd::accounts {

/// Deletes the accounts and ends the sessions that the deletion ledger names.
void erase_again(db::Transaction& tx);
/// Everybody signs in again.
void end_all_sessions(db::Transaction& tx);

}  // namespace supd::accounts
