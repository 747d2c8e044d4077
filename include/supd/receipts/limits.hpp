// Every limit of receipts on one screen.
#pragma once

#include <chrono>
#include <cstddef>

namespace supd::receipts {

/// How long marks that come by the socket are gathered before one statement writes them.
inline constexpr std::chrono::milliseconds kFlushInterval{200};
/// Marks written by one statement, and marks that may wait in a process; more are refused with 503
/// `overloaded`.
inline constexpr std::size_t kMaxBatch = 1000;
inline constexpr std::size_t kMaxPending = 50'000;

}  // namespace supd::receipts
