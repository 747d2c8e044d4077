// The names of the channels and keys in Redis. One deployment has a Redis of its own: nothing names it here.
// On the wire a channel also has the epoch of the stream in its name (nodes.cpp).
#pragma once

#include <supd/base/ids.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace supd::nodes {

inline constexpr std::string_view kPrefix = "supd:";
inline const std::string kEverybody = "supd:all";

/// Chats share channels, by the last digit of their id. With one for each, a batch would be a PUBLISH per
/// chat, and whoever connects a SUBSCRIBE per chat, before which nothing is heard.
inline constexpr std::size_t kChatChannels = 16;

inline std::size_t channel_number_of(base::ChatId chat) noexcept {
    return chat.bytes.back() % kChatChannels;
}
inline std::string chat_channel(std::size_t number) {
    return std::string("supd:c:") + "0123456789abcdef"[number];
}
inline std::string channel_of(base::ChatId chat) {
    return chat_channel(channel_number_of(chat));
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
