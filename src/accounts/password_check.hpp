// Checking a password on the cpu pool, in a time that does not tell whether there was an account.
#pragma once

#include "context.hpp"
#include "store.hpp"

#include <string>

namespace supd::accounts {

base::Error invalid_credentials();

struct CheckedPassword {
    base::UserId user;
    std::string hash;         // the one that matched: the transaction that follows asks for the same
    std::string better_hash;  // with today's parameters; empty when `hash` has them
};

/// Throws 401 `invalid_credentials`; 503 when the pool is full.
asio::awaitable<CheckedPassword> check_password_of(const Context& context, std::optional<store::SignIn> found,
                                                   std::string password);

}  // namespace supd::accounts
