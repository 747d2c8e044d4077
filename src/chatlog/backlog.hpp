// What waits in a lane, and whether one more should.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/chatlog/writer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace supd::chatlog {

/// A new one is refused at once while the first of those that wait has waited so long, or those before it
/// will take so long. It would be sent again meanwhile: then the queue is full of copies when the database is
/// quick again.
inline constexpr std::chrono::seconds kLongestWait{5};
/// A lane keeps up, and the next stays unused, while it has fewer messages than this and was not busy for
/// longer than this without a commit: docs/benchmarks.md.
inline constexpr std::size_t kFewRows = 16;
inline constexpr std::chrono::milliseconds kSoon{5};

/// How long commits take, of all lanes: they write to one database. A guess: a commit of few rows counts as
/// one of many. Any thread.
class Pace {
public:
    /// Remembers one commit more than there are lanes: if all stood still at once, it says nothing yet.
    explicit Pace(std::size_t lanes) : commits_(lanes + 1) {}

    void note(base::Monotonic::duration commit) noexcept {
        const auto at = next_.fetch_add(1, std::memory_order_relaxed) % commits_.size();
        commits_[at].store(commit, std::memory_order_relaxed);
    }
    /// Of whole batches only: a lane with less than one takes more at any pace, so nobody is refused for
    /// ever.
    base::Monotonic::duration behind(std::size_t rows, std::size_t bytes) const noexcept {
        auto shortest = base::Monotonic::duration::max();
        for (const auto& each : commits_)
            shortest = std::min(shortest, each.load(std::memory_order_relaxed));
        const auto batches = std::max(rows / kMaxBatchRows, bytes / kMaxBatchBytes);
        return shortest * static_cast<base::Monotonic::rep>(batches);
    }

private:
    std::vector<std::atomic<base::Monotonic::duration>> commits_;
    std::atomic<std::size_t> next_{0};
};

/// Any thread; what is marked and noted, the lane's.
class Backlog {
public:
    using Time = base::Monotonic::time_point;

    explicit Backlog(std::shared_ptr<Pace> pace) noexcept : pace_(std::move(pace)) {}

    /// False: it is refused.
    bool enter(std::size_t bytes, Time now) noexcept {
        if (is_behind(now)) return false;
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
        if (rows_.fetch_add(1, std::memory_order_relaxed) >= kMaxQueuedRows ||
            bytes_.load(std::memory_order_relaxed) > kMaxQueuedBytes) {
            leave(1, bytes);
            return false;
        }
        mark_busy(now);
        return true;
    }
    void leave(std::size_t rows, std::size_t bytes) noexcept {
        rows_.fetch_sub(rows, std::memory_order_relaxed);
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    }

    void mark_busy(Time now) noexcept {
        auto idle = kIdle;
        busy_since_.compare_exchange_strong(idle, now, std::memory_order_relaxed);
    }
    /// Nothing waits, or a commit succeeded.
    void mark_idle() noexcept { busy_since_.store(kIdle, std::memory_order_relaxed); }
    /// When the first that waits came; kIdle: nothing waits.
    void note_first(Time queued) noexcept { first_since_.store(queued, std::memory_order_relaxed); }
    void note_commit(base::Monotonic::duration took) noexcept { pace_->note(took); }

    std::size_t rows() const noexcept { return rows_.load(std::memory_order_relaxed); }
    bool keeps_up(Time now) const noexcept {
        const auto busy_since = busy_since_.load(std::memory_order_relaxed);
        return rows() < kFewRows && (busy_since == kIdle || now - busy_since < kSoon) && !is_behind(now);
    }
    bool is_behind(Time now) const noexcept {
        const auto since = first_since_.load(std::memory_order_relaxed);
        return (since != kIdle && now - since > kLongestWait) ||
               pace_->behind(rows(), bytes_.load(std::memory_order_relaxed)) > kLongestWait;
    }

    static constexpr Time kIdle{};

private:
    std::shared_ptr<Pace> pace_;
    std::atomic<std::size_t> rows_{0};
    std::atomic<std::size_t> bytes_{0};
    std::atomic<Time> busy_since_{kIdle};  // without a commit
    std::atomic<Time> first_since_{kIdle};
};

}  // namespace supd::chatlog
