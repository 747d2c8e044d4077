// All SQL of presence. db thread.
#pragma once

#include <supd/base/ids.hpp>
#include <supd/db/transaction.hpp>

#include <vector>

namespace supd::presence::store {

/// Those of `others` who are in a chat with `user` now; and `user`, if among them.
std::vector<base::UserId> acquainted(db::Transaction& tx, base::UserId user,
                                     const std::vector<base::UserId>& others);

}  // namespace supd::presence::store
