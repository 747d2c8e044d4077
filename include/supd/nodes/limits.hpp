// Every limit of what processes tell each other on one screen.
#pragma once

#include <chrono>
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

/// A lease ends by itself when its process no longer renews it.
inline constexpr std::chrono::seconds kLease{22};
inline constexpr std::chrono::seconds kRenewEvery{7};
/// How often a process looks whether Redis was away or emptied, so that it writes its leases anew.
inline constexpr std::chrono::seconds kInterruptionCheck{1};
/// Commands for leases that are sent before Redis is waited for.
inline constexpr std::size_t kLeaseCommandsAtOnce = 200;
/// Leases that one call reads at a time.
inline constexpr std::size_t kLeaseReadsAtOnce = 64;
/// How often at most a process tells all its leases, and the time over which processes spread that.
inline constexpr std::chrono::seconds kTellAllEvery{10};
inline constexpr std::chrono::seconds kTellAllSpread{2};
inline constexpr std::size_t kMaxLeaseValue = 1024;

}  // namespace supd::nodes
