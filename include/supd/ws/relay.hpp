// How the hubs of several processes hear of each other. The hub tells a relay what this process has done and
// whom it serves; what the relay hears of the others it gives to Hub::receive_*. All of it is hints: what
// gets lost is found by the hub's sweep.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/ws/hub.hpp>

#include <memory>
#include <vector>

namespace supd::ws {

/// Called on io threads and db threads; must not block or throw.
class Relay {
public:
    virtual ~Relay() = default;

    virtual void events_published(std::shared_ptr<const std::vector<ChatEvent>> events) = 0;
    virtual void chat_frame_sent(base::ChatId chat, FramePtr frame, base::UserId except) = 0;
    /// Of one owner, all to everybody in their chats or all to one user only.
    virtual void marks_sent(const LogSource::MarkHead& head,
                            std::shared_ptr<const std::vector<Mark>> marks) = 0;
    /// A socket of the device was attached at `at` (wall clock): older ones elsewhere must go.
    virtual void device_attached(base::UserId user, base::DeviceId device, base::Millis at) = 0;

    /// A shard got its first, or lost its last, subscriber of the chat (session of the user). Per shard, so
    /// the relay counts.
    virtual void chat_followed(base::ChatId chat, bool begins) = 0;
    virtual void user_followed(base::UserId user, bool begins) = 0;
};

}  // namespace supd::ws
