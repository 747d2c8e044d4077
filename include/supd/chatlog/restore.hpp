// What the log has to say about a restored database. db thread, in the caller's transaction.
#pragma once

#include <supd/db/transaction.hpp>

#include <string>

namespace supd::chatlog {

/// A new epoch: no cursor of before is accepted, every client starts over with a snapshot.
void begin_new_stream(db::Transaction& tx);
/// Empties the own logs of the users whom the deletion ledger names.
void erase_again(db::Transaction& tx);
/// A chat or user whose log is not dense from 1 to its head, as a text for the operator; empty when there is
/// none.
std::string find_gap(db::Transaction& tx);

}  // namespace supd::chatlog
