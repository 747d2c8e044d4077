// A profile: one's own in full, of others what is public.
#include "routes.hpp"
#include "wire.hpp"

#include <nlohmann/json.hpp>

namespace supd::accounts {

asio::awaitable<http::Reply> get_user(const Context& context, http::Request request) {
    request.allow_query({});
    const auto caller = request.caller();
    const auto id = request.path_value("id") == "me" ? caller.user : request.path_id<base::UserId>("id");
    auto read = [&](db::Transaction& tx) { return store::find_user(tx, id); };
    const auto found = co_await context.db.transact(db::Access::read_only, read);
    if (!found) throw base::not_found();
    co_return http::Reply::json(id == caller.user ? own_profile(*found) : public_profile(*found));
}

}  // namespace supd::accounts
