// The names of the channels and keys in Redis. One deployment has a Redis of its own: nothing names it here.
#pragma once

#include <supd/base/ids.hpp>

#include <string>

namespace supd::nodes {

inline const std::string kEverybody = "supd:all";

inline std::string channel_of(base::ChatId chat) {
    std::string out = "supd:c:";
    chat.append_to(out);
    return out;
}
inline std::string channel_of(base::UserId user) {
    std::string out = "supd:u:";
    user.append_to(out);
    return out;
}

/// Of the user's leases, and the channel on which their changes are told.
inline std::string lease_key_of(base::UserId user) {
    std::string out = "supd:p:";
    user.append_to(out);
    return out;
}

}  // namespace supd::nodes
