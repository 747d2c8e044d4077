// Limits of what a client sends over a socket; those of frames stand in frame_decoder.hpp.
#pragma once

#include <cstddef>

namespace supd::ws {

/// Commands over the rate before the socket is closed.
inline constexpr int kMaxRefusals = 100;
/// Bytes of a frame's `ref` and `type`.
inline constexpr std::size_t kMaxRef = 128;
inline constexpr std::size_t kMaxType = 64;
/// Bytes of the access token of `authenticate`.
inline constexpr std::size_t kMaxToken = 4096;
/// Bytes of a cursor that is resumed from.
inline constexpr std::size_t kMaxCursor = 256;

}  // namespace supd::ws
