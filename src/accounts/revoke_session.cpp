// Ends one of the caller's sessions. A session of somebody else is as unknown as one that never was.
#include "routes.hpp"
#include "store.hpp"

namespace supd::accounts {

asio::awaitable<http::Reply> revoke_session(const Context& context, http::Request request) {
    request.allow_query({});
    const auto user_id = request.caller().user;
    const auto session = request.path_id<base::SessionId>("id");
    auto end = [&](db::Transaction& tx) { return store::revoke_session(tx, user_id, session, "revoked"); };
    const auto revoked = co_await context.db.transact(end);
    if (revoked.empty()) throw base::not_found();
    context.revocations.revoked(revoked);
    co_return http::Reply::no_content();
}

}  // namespace supd::accounts
