// Ends the caller's own session.
#include "routes.hpp"
#include "store.hpp"

namespace supd::accounts {

asio::awaitable<http::Reply> log_out(const Context& context, http::Request request) {
    request.allow_query({});
    const auto caller = request.caller();
    auto end = [&](db::Transaction& tx) {
        return store::revoke_session(tx, caller.user, caller.session, "logout");
    };
    const auto revoked = co_await context.db.transact(end);
    context.revocations.revoked(revoked);
    co_return http::Reply::no_content();
}

}  // namespace supd::accounts
