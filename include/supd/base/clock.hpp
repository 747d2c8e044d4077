// Time. Durations are measured by the monotonic clock, ordering never uses time, expiry is judged by the
// database's clock; the wall clock is only shown to people and put into ids.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace supd::base {

/// Milliseconds since the Unix epoch, UTC.
using Millis = std::int64_t;

Millis wall_clock_ms() noexcept;

using Monotonic = std::chrono::steady_clock;

/// RFC 3339, UTC, milliseconds: 2026-01-28T14:30:22.123Z (24 characters).
std::string format_time(Millis ms);
void append_time(std::string& out, Millis ms);
inline constexpr std::size_t kTimeText = 24;

/// A clock that a test can turn; the product passes SystemClock.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Millis now_ms() const noexcept = 0;
    virtual Monotonic::time_point steady() const noexcept = 0;
};

class SystemClock final : public Clock {
public:
    Millis now_ms() const noexcept override { return wall_clock_ms(); }
    Monotonic::time_point steady() const noexcept override { return Monotonic::now(); }
};

}  // namespace supd::base
