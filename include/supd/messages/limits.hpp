// Every limit of messages on one screen.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace supd::messages {

inline constexpr std::size_t kMaxTextBytes = 16 * 1024;
inline constexpr std::size_t kMaxAttachments = 10;
inline constexpr std::size_t kMaxAttachmentsBytes = 16 * 1024;  ///< all of them, as JSON
inline constexpr std::size_t kMaxMentions = 50;
inline constexpr std::size_t kMaxMetadataBytes = 4 * 1024;  ///< as JSON
inline constexpr std::int64_t kMinExpiresInS = 5;
inline constexpr std::int64_t kMaxExpiresInS = 366LL * 24 * 3600;
/// How often messages whose time is over are looked for, and how many one look deletes.
inline constexpr std::chrono::seconds kExpireInterval{30};
inline constexpr std::size_t kExpireBatch = 500;
/// Edits of one message; all earlier texts are kept.
inline constexpr std::int64_t kMaxEdits = 100;
inline constexpr std::size_t kMaxEmojiBytes = 64;
/// Of one message: by one person, and different ones by all.
inline constexpr std::int64_t kMaxReactionsPerUser = 10;
inline constexpr std::int64_t kMaxReactionKinds = 50;
/// JSON bodies: a text of kMaxTextBytes in which every byte is escaped, and the rest.
inline constexpr std::size_t kBodyLimit = 160 * 1024;

inline constexpr std::size_t kDefaultPage = 50;
inline constexpr std::size_t kMaxPage = 200;

}  // namespace supd::messages
