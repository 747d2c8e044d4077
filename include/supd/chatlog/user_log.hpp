// A user's own log: durable events of one person that concern all of their devices and belong to no chat. It
// is followed like a chat's log, with seqs of its own that clients see as user_seq.
#pragma once

#include <supd/base/ids.hpp>
#include <supd/db/transaction.hpp>
#include <supd/ws/hub.hpp>

#include <string_view>

namespace supd::chatlog {

/// As lock_chat is for a chat: must come before the transaction's first write, row locks among them, and
/// before any other lock. Not needed for a user whom nobody else can know yet. db thread.
void lock_user_log(db::Transaction& tx, base::UserId user);

/// Writes the log's next entry under that lock and returns the event to publish after COMMIT. `kind`: the
/// event's type; `data`: a JSON object. db thread.
ws::ChatEvent append_user_event(db::Transaction& tx, base::UserId user, std::string_view kind,
                                std::string_view data);

}  // namespace supd::chatlog
