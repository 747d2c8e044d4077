// What one process tells the others, as bytes: a version, the sender, a kind, then its fields (integers big
// endian, texts and lists with a 32-bit count before them).
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/ws/hub.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace supd::nodes {

/// A process, drawn at its start.
using NodeId = std::uint64_t;

/// Entries of chats. Nobody is left out elsewhere: a sender that has moved to another process may lack the
/// acknowledgement, and a client drops what it has.
struct Events {
    std::vector<ws::ChatEvent> list;
};
struct ChatFrame {
    base::ChatId chat;
    base::UserId except;
    std::string json;
};
/// The marks of one owner that one transaction moved.
struct MarksMoved {
    ws::LogSource::MarkHead head{};
    std::vector<ws::Mark> list;
};
struct DeviceAttached {
    base::UserId user;
    base::DeviceId device;
    base::Millis at = 0;
};
/// Sessions were revoked: look.
struct SessionsRevoked {};

/// The sender holds a lease for the user, or has released it.
struct LeaseTold {
    base::UserId user;
    bool released = false;
    std::string value;
};

using Hint = std::variant<Events, ChatFrame, MarksMoved, DeviceAttached, SessionsRevoked, LeaseTold>;

std::string encode_events(NodeId from, const std::vector<const ws::ChatEvent*>& events);
std::string encode_marks(NodeId from, const ws::LogSource::MarkHead& head,
                         const std::vector<ws::Mark>& marks);
std::string encode(NodeId from, const Hint& hint);

/// Of any hint, without reading the rest; nothing when it is none.
std::optional<NodeId> sender_of(std::string_view bytes) noexcept;
/// Nothing when it is of another version, cut, or more than it may be. Entries, frames and marks of chats
/// that `follows` refuses are passed over: that costs no copy.
using Follows = std::function<bool(base::ChatId)>;
std::optional<Hint> decode(std::string_view bytes, const Follows& follows);

}  // namespace supd::nodes
