// What messages have to say about a restored database. db thread, in the caller's transaction.
#pragma once

#include <supd/db/transaction.hpp>

namespace supd::messages {

/// Empties every message that the deletion ledger names, as its deletion did.
void erase_again(db::Transaction& tx);

}  // namespace supd::messages
