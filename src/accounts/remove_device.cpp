// Removes one of the caller's devices and ends its session; the one in hand may be it.
#include "routes.hpp"
#include "store.hpp"

namespace supd::accounts {

asio::awaitable<http::Reply> remove_device(const Context& context, http::Request request) {
    request.allow_query({});
    const auto user_id = request.caller().user;
    const auto device = request.path_id<base::DeviceId>("id");
    auto remove = [&](db::Transaction& tx) -> std::optional<store::Revoked> {
        if (!store::remove_device(tx, user_id, device)) return std::nullopt;
        return store::revoke_sessions_of_device(tx, device, "device_removed");
    };
    const auto revoked = co_await context.db.transact(remove);
    if (!revoked) throw base::not_found();
    context.revocations.revoked(*revoked);
    co_return http::Reply::no_content();
}

}  // namespace supd::accounts
