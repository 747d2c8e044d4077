// What accounts talks about among its own files.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>

#include <optional>
#include <string>

namespace supd::accounts {

struct User {
    base::UserId id;
    std::string username;
    std::string display_name;
    std::string bio;
    std::optional<std::string> email;
    std::optional<std::string> phone;
    bool admin = false;
    bool active = false;
    base::Millis created_at = 0;
};

struct Device {
    base::DeviceId id;
    std::string name;
    std::string platform;
    base::Millis created_at = 0;
    base::Millis last_seen_at = 0;
};

struct Session {
    base::SessionId id;
    Device device;
    base::Millis created_at = 0;
    base::Millis last_used_at = 0;
    std::string remote_address;
    std::string user_agent;
};

/// `device` of a request, checked. Without an id, or with one that is not a device of the user: a new device.
struct DeviceRequest {
    std::optional<base::DeviceId> id;
    std::string name;
    std::string platform;
};

/// Where a sign-in came from, shown in the list of sessions.
struct Origin {
    std::string remote_address;
    std::string user_agent;
};

}  // namespace supd::accounts
