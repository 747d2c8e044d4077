#include "password_check.hpp"

#include <supd/crypto/password.hpp>

namespace supd::accounts {

base::Error invalid_credentials() {
    return base::unauthenticated("invalid_credentials", "The name or the password is wrong.");
}

asio::awaitable<CheckedPassword> check_password_of(const Context& context, std::optional<store::SignIn> found,
                                                   std::string password) {
    // Refused by what was typed alone, before anything is spent on it.
    if (crypto::check_password(password) != crypto::PasswordFault::none) throw invalid_credentials();
    const bool real = found && found->password_hash;
    const auto& hash = real ? *found->password_hash : context.dummy_hash;
    const auto profile = context.config.password_profile;
    std::string better_hash;
    auto verify = [&](std::size_t) {
        if (!crypto::verify_password(password, hash) || !real) return false;
        if (crypto::needs_rehash(hash, profile)) better_hash = crypto::hash_password(password, profile);
        return true;
    };
    const bool matches = co_await context.cpu.run(verify);
    if (!matches) throw invalid_credentials();
    CheckedPassword out;
    out.user = found->id;
    out.hash = hash;
    out.better_hash = std::move(better_hash);
    co_return out;
}

}  // namespace supd::accounts
