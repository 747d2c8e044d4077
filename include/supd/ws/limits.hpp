// Limits of a socket that its client is told of (GET /api/v1/server, hello).
#pragma once

#include <cstddef>

namespace supd::ws {

/// Frames refused for their rate before the socket is closed (4429); each admitted one takes one off.
constexpr int kMaxRefusals = 100;
/// Bytes of a frame's `ref` and `type`, of the token of `authenticate`, and of a cursor.
constexpr std::size_t kMaxRef = 128;
constexpr std::size_t kMaxType = 64;
constexpr std::size_t kMaxToken = 4096;
constexpr std::size_t kMaxCursor = 256;

}  // namespace supd::ws
