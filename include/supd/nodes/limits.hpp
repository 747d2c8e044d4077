// Every limit of what processes tell each other on one screen.
#pragma once

#include <cstddef>

namespace supd::nodes {

/// Frames that wait for their turn to be told; what is above is not told and found by the sweep.
inline constexpr std::size_t kMaxQueuedBytes = 32 << 20;
/// Who joins is told on a channel of their own, unless one entry brings more: then the sweep tells them.
inline constexpr std::size_t kMaxJoinHints = 64;
/// Of one hint, when it is read.
inline constexpr std::size_t kMaxHintEvents = 10'000;
inline constexpr std::size_t kMaxHintMarks = 10'000;
inline constexpr std::size_t kMaxHintUsers = 100'000;

}  // namespace supd::nodes
