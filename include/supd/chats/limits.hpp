// Every limit of chats on one screen.
#pragma once

#include <cstddef>
#include <cstdint>

namespace supd::chats {

/// Members of one chat, and so the ids in one creation or addition.
inline constexpr std::size_t kMaxMembers = 2000;
/// Chats that one person can be in: nobody is put into more. What is added at the same moment may pass it.
inline constexpr std::size_t kMaxChatsPerUser = 20'000;
/// Chats that one person can have made, deleted ones aside. Below the former, so that no one person can fill
/// another's list.
inline constexpr std::size_t kMaxChatsCreated = 10'000;
/// People that one person can put into chats: so many at once, enough for the largest chat, then by the
/// minute.
inline constexpr std::size_t kPeopleAddedBurst = kMaxMembers;
inline constexpr std::size_t kPeopleAddedPerMinute = 300;
inline constexpr std::size_t kMaxTitleBytes = 256;
inline constexpr std::size_t kMaxContextTypeBytes = 64;
inline constexpr std::size_t kMaxContextIdBytes = 128;
/// How many of a chat's newest messages are looked at for the chat list: what is unread is counted among
/// them, and the last one that the member has not hidden is found among them.
inline constexpr std::int64_t kLookBack = 1000;
/// Up to so many people the chat_created event lists them; in larger chats clients ask for the list.
inline constexpr std::size_t kMaxMembersInEvent = 50;
/// JSON bodies; 2,000 member ids take 78 KB.
inline constexpr std::size_t kBodyLimit = 128 * 1024;

inline constexpr std::size_t kDefaultPage = 50;
inline constexpr std::size_t kMaxPage = 200;

}  // namespace supd::chats
