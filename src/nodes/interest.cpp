#include "interest.hpp"

namespace supd::nodes {

void Interest::follow(const std::string& channel, bool begins) {
    const std::lock_guard lock(mutex_);
    if (begins) {
        if (++counts_[channel] == 1) change_(channel, true);
        return;
    }
    const auto at = counts_.find(channel);
    if (at == counts_.end() || --at->second > 0) return;
    counts_.erase(at);
    change_(channel, false);
}

std::size_t Interest::size() const {
    const std::lock_guard lock(mutex_);
    return counts_.size();
}

void FollowedChats::follow(base::ChatId chat, bool begins) {
    const std::lock_guard lock(mutex_);
    if (begins) {
        ++counts_[chat];
        return;
    }
    const auto at = counts_.find(chat);
    if (at != counts_.end() && --at->second == 0) counts_.erase(at);
}

bool FollowedChats::followed(base::ChatId chat) const {
    const std::lock_guard lock(mutex_);
    return counts_.contains(chat);
}

}  // namespace supd::nodes
