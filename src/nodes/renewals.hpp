// When a process writes which of its leases, and when it tells them all.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/nodes/limits.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

namespace supd::nodes {

/// Each look writes one part of the leases, each lease once in kRenewEvery.
class Parts {
public:
    static constexpr std::size_t kParts = kRenewEvery / kInterruptionCheck;

    void next() noexcept { part_ = (part_ + 1) % kParts; }
    bool holds(std::size_t hash) const noexcept { return hash % kParts == part_; }

private:
    std::size_t part_ = 0;
};

/// After an interruption others are told of all leases, as they may have missed some: seldom, however often
/// the connection is lost, and not by all processes at once.
class TellAll {
public:
    /// `chance` is from [0, 1).
    void wanted(base::Monotonic::time_point now, double chance) {
        if (due_) return;
        const auto soonest = last_ ? std::max(now, *last_ + kTellAllEvery) : now;
        due_ = soonest + std::chrono::duration_cast<base::Monotonic::duration>(kTellAllSpread * chance);
    }
    bool take(base::Monotonic::time_point now) {
        if (!due_ || now < *due_) return false;
        due_.reset();
        last_ = now;
        return true;
    }

private:
    std::optional<base::Monotonic::time_point> due_;
    std::optional<base::Monotonic::time_point> last_;
};

}  // namespace supd::nodes
