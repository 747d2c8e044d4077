// The caller's devices, newest first.
#include "routes.hpp"
#include "wire.hpp"

#include <nlohmann/json.hpp>

namespace supd::accounts {

asio::awaitable<http::Reply> list_devices(const Context& context, http::Request request) {
    const auto user_id = request.caller().user;
    const auto wanted = read_page(request);
    std::optional<base::DeviceId> after;
    if (wanted.after) after.emplace().bytes = *wanted.after;
    auto read = [&](db::Transaction& tx) {
        return store::list_devices(tx, user_id, after, wanted.limit + 1);
    };
    auto found = co_await context.db.transact(db::Access::read_only, read);

    std::string last;
    if (found.size() > static_cast<std::size_t>(wanted.limit)) {
        found.pop_back();
        last = found.back().id.text();
    }
    auto items = base::Json::array();
    for (const auto& device : found)
        items.push_back(device_json(device));
    co_return page(std::move(items), last);
}

}  // namespace supd::accounts
