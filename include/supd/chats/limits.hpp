// Every limit of chats on one screen.
#pragma once

#include <cstddef>
#include <cstdint>

namespace supd::chats {

/// Members of one chat, and so the ids in one creation or addition.
inline constexpr std::size_t kMaxMembers = 2000;
/// Chats that one person may be in before creating another is refused.
inline constexpr std::size_t kMaxChatsPerUser = 20'000;
inline constexpr std::size_t kMaxTitleBytes = 256;
inline constexpr std::size_t kMaxContextTypeBytes = 64;
inline constexpr std::size_t kMaxContextIdBytes = 128;
/// Unread messages are counted up to here.
inline constexpr std::int64_t kUnreadCap = 1000;
/// Up to so many people the chat_created event lists them; in larger chats clients ask for the list.
inline constexpr std::size_t kMaxMembersInEvent = 50;
/// JSON bodies; 2,000 member ids take 78 KB.
inline constexpr std::size_t kBodyLimit = 128 * 1024;

inline constexpr std::size_t kDefaultPage = 50;
inline constexpr std::size_t kMaxPage = 200;

}  // namespace supd::chats
