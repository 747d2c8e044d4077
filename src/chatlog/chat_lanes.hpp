// Which lane takes a chat's next message. While anything of a chat waits or is being committed, what comes
// goes to the same lane, so that a chat's order of arrival is its order in the log; else the chat is free to
// go anywhere. Any thread.
#pragma once

#include <supd/chatlog/log.hpp>

#include <mutex>
#include <unordered_map>

namespace supd::chatlog {

class ChatLanes {
public:
    /// One more message of the chat: the lane it belongs to, `wanted` if it is free.
    std::size_t enter(ChatId chat, std::size_t wanted);
    /// One message of the chat is answered. As often as enter().
    void leave(ChatId chat);

private:
    struct Stay {
        std::size_t lane;
        std::size_t messages;
    };
    std::mutex mutex_;
    std::unordered_map<ChatId, Stay> stays_;
};

}  // namespace supd::chatlog
