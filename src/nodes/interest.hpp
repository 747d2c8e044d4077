// Which channels this process listens to: each as long as one of its shards has somebody who wants it.
// Thread-safe.
#pragma once

#include <supd/base/ids.hpp>

#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace supd::nodes {

class Interest {
public:
    /// Told of the first who wants a channel and of the last who no longer does, in order.
    using Change = std::function<void(const std::string& channel, bool wanted)>;
    explicit Interest(Change change) : change_(std::move(change)) {}

    void follow(const std::string& channel, bool begins);
    std::size_t size() const;

private:
    Change change_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::size_t> counts_;
};

/// The chats that somebody here follows, counted per shard like the channels. Thread-safe.
class FollowedChats {
public:
    void follow(base::ChatId chat, bool begins);
    bool followed(base::ChatId chat) const;

private:
    mutable std::mutex mutex_;
    std::unordered_map<base::ChatId, std::size_t> counts_;
};

}  // namespace supd::nodes
