#include "chat_lanes.hpp"

namespace supd::chatlog {

std::size_t ChatLanes::enter(ChatId chat, std::size_t wanted) {
    const std::lock_guard lock(mutex_);
    auto& stay = stays_.try_emplace(chat, Stay{wanted, 0}).first->second;
    ++stay.messages;
    return stay.lane;
}

void ChatLanes::leave(ChatId chat) {
    const std::lock_guard lock(mutex_);
    const auto at = stays_.find(chat);
    if (--at->second.messages == 0) stays_.erase(at);
}

}  // namespace supd::chatlog
