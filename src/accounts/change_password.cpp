// Sets a new password after checking the present one; ends all other sessions of the user.
#include "password_check.hpp"
#include "profile_rules.hpp"
#include "routes.hpp"

#include <supd/base/json.hpp>

#include <nlohmann/json.hpp>

namespace supd::accounts {
namespace {

struct ChangeRequest {
    std::string current_password;
    std::string new_password;
};

ChangeRequest parse(const base::Json& body) {
    base::ObjectReader reader(body);
    ChangeRequest out;
    out.current_password = reader.text("current_password", {1, crypto::kMaxPasswordBytes});
    out.new_password = reader.text("new_password", {1, crypto::kMaxPasswordBytes});
    reader.finish();
    require_password("new_password", out.new_password);
    return out;
}

}  // namespace

asio::awaitable<http::Reply> change_password(const Context& context, http::Request request) {
    const auto caller = request.caller();
    const auto wanted = parse(request.json());

    auto look_up = [&](db::Transaction& tx) { return store::find_sign_in_by_id(tx, caller.user); };
    const auto found = co_await context.db.transact(db::Access::read_only, look_up);
    const auto checked = co_await check_password_of(context, found, wanted.current_password);
    auto hash = [&](std::size_t) {
        return crypto::hash_password(wanted.new_password, context.config.password_profile);
    };
    const auto new_hash = co_await context.cpu.run(hash);

    auto store_it = [&](db::Transaction& tx) -> std::optional<store::Revoked> {
        if (!store::replace_password(tx, caller.user, checked.hash, new_hash)) return std::nullopt;
        return store::revoke_sessions_of_user(tx, caller.user, caller.session, "password_changed");
    };
    const auto revoked = co_await context.db.transact(store_it);
    if (!revoked)
        throw base::conflict("password_changed", "The password was changed by somebody else just now.");
    context.revocations.revoked(*revoked);
    co_return http::Reply::no_content();
}

}  // namespace supd::accounts
