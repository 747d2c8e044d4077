#include "frames.hpp"

#include "context.hpp"
#include "wire.hpp"

#include <nlohmann/json.hpp>

namespace supd::accounts {

ws::ChatEvent tell_device_added(db::Transaction& tx, base::UserId user, const Device& device) {
    const base::Json data{{"device", device_json(device)}};
    return chatlog::append_user_event(tx, user, "device_added", data.dump());
}

ws::ChatEvent tell_device_removed(db::Transaction& tx, base::UserId user, base::DeviceId device) {
    const base::Json data{{"device_id", device.text()}};
    return chatlog::append_user_event(tx, user, "device_removed", data.dump());
}

void publish(const Context& context, std::vector<ws::ChatEvent> events) {
    if (context.hub && !events.empty()) context.hub->publish(std::move(events));
}

}  // namespace supd::accounts
