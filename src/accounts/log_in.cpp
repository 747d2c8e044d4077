// Exchanges name (or e-mail address) and password for tokens. An unknown name, a disabled account and a wrong
// password answer the same in the same time: each costs one look-up and one Argon2id.
#include "frames.hpp"
#include "password_check.hpp"
#include "profile_rules.hpp"
#include "routes.hpp"
#include "sign_in.hpp"
#include "username.hpp"

#include <supd/accounts/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::accounts {
namespace {

// The hash may change while it is being checked (a rehash by another sign-in, a new password): look again
// once.
constexpr int kAttempts = 2;

struct LoginRequest {
    std::string identifier_key;
    std::string password;
    DeviceRequest device;
};

LoginRequest parse(const base::Json& body) {
    base::ObjectReader reader(body);
    const auto identifier = reader.text("identifier", {1, kMaxIdentifierBytes});
    auto password = reader.text("password", {1, crypto::kMaxPasswordBytes});
    auto device = read_device_request(reader);
    require_null(reader, "totp");
    reader.finish();
    return {fold_identifier(identifier), std::move(password), std::move(device)};
}

}  // namespace

asio::awaitable<http::Reply> log_in(const Context& context, http::Request request) {
    auto wanted = parse(request.json());
    // Whoever guesses from one address locks the owner out there at most; from many, the sum is bounded.
    context.limiter.require(http::Limit::auth,
                            http::RateLimiter::identifier_key(wanted.identifier_key, request.remote));
    context.limiter.require(http::Limit::auth, http::RateLimiter::identifier_key(wanted.identifier_key), 1,
                            kAllAddressesFactor);

    auto look_up = [&](db::Transaction& tx) { return store::find_sign_in(tx, wanted.identifier_key); };
    const auto seed = seed_session(std::move(wanted.device), origin_of(request));
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const auto found = co_await context.db.transact(db::Access::read_only, look_up);
        const auto checked = co_await check_password_of(context, found, wanted.password);
        auto store_it = [&](db::Transaction& tx) -> std::optional<SignedIn> {
            chatlog::lock_user_log(tx, checked.user);
            auto user = store::lock_user_with_hash(tx, checked.user, checked.hash);
            if (!user) return std::nullopt;
            return begin_session(tx, std::move(*user), seed);
        };
        auto signed_in = co_await context.db.transact(store_it);
        if (!signed_in) continue;
        context.revocations.revoked(signed_in->replaced);
        publish(context, std::move(signed_in->events));
        if (!checked.better_hash.empty()) {
            auto improve = [&](db::Transaction& tx) {
                return store::replace_password(tx, checked.user, checked.hash, checked.better_hash);
            };
            co_await context.db.transact(improve);
        }
        co_return tokens_reply(context, *signed_in, 200);
    }
    throw invalid_credentials();
}

}  // namespace supd::accounts
