// Removes one of the caller's devices and ends its session; the one in hand may be it.
#include "frames.hpp"
#include "routes.hpp"
#include "store.hpp"

namespace supd::accounts {
namespace {

struct Removed {
    store::Revoked sessions;
    std::vector<ws::ChatEvent> events;
};

}  // namespace

asio::awaitable<http::Reply> remove_device(const Context& context, http::Request request) {
    request.allow_query({});
    const auto user_id = request.caller().user;
    const auto device = request.path_id<base::DeviceId>("id");
    auto remove = [&](db::Transaction& tx) -> std::optional<Removed> {
        chatlog::lock_user_log(tx, user_id);
        if (!store::remove_device(tx, user_id, device)) return std::nullopt;
        Removed out;
        out.sessions = store::revoke_sessions_of_device(tx, device, "device_removed");
        out.events.push_back(tell_device_removed(tx, user_id, device));
        return out;
    };
    auto removed = co_await context.db.transact(remove);
    if (!removed) throw base::not_found();
    context.revocations.revoked(removed->sessions);
    publish(context, std::move(removed->events));
    co_return http::Reply::no_content();
}

}  // namespace supd::accounts
