// Changes the caller's own profile. A field that is absent stays; email and phone can be cleared with null.
#include "profile_rules.hpp"
#include "routes.hpp"
#include "wire.hpp"

#include <supd/accounts/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::accounts {
namespace {

store::ProfileChange parse(const base::Json& body) {
    base::ObjectReader reader(body);
    const auto display_name = reader.maybe_text("display_name", {1, kMaxDisplayNameBytes});
    const auto bio = reader.maybe_text("bio", {0, kMaxBioBytes});
    const bool change_email = reader.has("email");
    const auto email = reader.maybe_text("email", {1, kMaxEmailBytes});
    const bool change_phone = reader.has("phone");
    const auto phone = reader.maybe_text("phone", {1, kMaxPhoneBytes * 2});
    reader.finish();

    store::ProfileChange out;
    if (display_name) out.display_name = clean_name("display_name", *display_name, kMaxDisplayName);
    if (bio) out.bio = clean_bio(*bio);
    out.change_email = change_email;
    if (email) {
        auto parsed = parse_email(*email);
        out.email = std::move(parsed.display);
        out.email_key = std::move(parsed.key);
    }
    out.change_phone = change_phone;
    if (phone) out.phone = parse_phone(*phone);
    return out;
}

}  // namespace

asio::awaitable<http::Reply> edit_profile(const Context& context, http::Request request) {
    const auto caller = request.caller();
    if (request.path_value("id") != "me" && request.path_id<base::UserId>("id") != caller.user)
        throw base::forbidden("You may edit only your own profile.");
    const auto change = parse(request.json());
    // Whether an address is taken tells who has an account here.
    if (change.email) context.limiter.require(http::Limit::auth, http::RateLimiter::user_key(caller.user));
    auto store_it = [&](db::Transaction& tx) { return store::update_profile(tx, caller.user, change); };
    try {
        const auto user = co_await context.db.transact(store_it);
        if (!user) throw base::unauthenticated();
        co_return http::Reply::json(own_profile(*user));
    } catch (const db::ConstraintViolation& violation) {
        if (!violation.unique()) throw;
        throw base::conflict("email_taken", "An account with this e-mail address exists already.");
    }
}

}  // namespace supd::accounts
