// What the user's devices are told: entries of the user's own log, written in the transaction that acts.
#pragma once

#include "types.hpp"

#include <supd/chatlog/user_log.hpp>

#include <vector>

namespace supd::accounts {

struct Context;

ws::ChatEvent tell_device_added(db::Transaction& tx, base::UserId user, const Device& device);
ws::ChatEvent tell_device_removed(db::Transaction& tx, base::UserId user, base::DeviceId device);
/// After COMMIT.
void publish(const Context& context, std::vector<ws::ChatEvent> events);

}  // namespace supd::accounts
