// The background work of accounts.
#include "store_upkeep.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/accounts/limits.hpp>

namespace supd::accounts {

bool expire_sessions(db::Transaction& tx) {
    const auto deleted = store::delete_used_tokens(tx) + store::delete_ended_sessions(tx);
    return deleted >= static_cast<std::size_t>(kExpireBatch);
}

}  // namespace supd::accounts
