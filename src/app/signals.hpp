// SIGTERM, SIGINT and SIGHUP of the daemon, and the end of a stop that takes too long.
#pragma once

#include <supd/base/clock.hpp>

#include <signal.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace supd::app {

/// Thread-safe. One per process.
class Signals {
public:
    /// Blocks the signals here and in every thread that is started from now on: before the first thread.
    /// `patience`: how long a stop may take, from its signal on. Then the process ends where it stands, with
    /// exit code 0: what was acknowledged is committed, and what hangs (a database that stands still) would
    /// hang on.
    explicit Signals(std::chrono::seconds patience);
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    /// Asked to stop by SIGTERM or SIGINT. Callbacks run on the thread that waits for signals: short ones.
    bool stopping() const noexcept { return stop_.stop_requested(); }
    std::stop_token stop_token() const noexcept { return stop_.get_token(); }
    /// Of a stop under way.
    base::Monotonic::time_point deadline() const;
    enum class Woken { hangup, stop, time };
    /// Waits for SIGHUP or the stop, at most for `time` when there is one.
    Woken wait(std::optional<std::chrono::microseconds> time);
    /// True when the stop was asked for within the time.
    bool wait_for_stop(std::chrono::milliseconds time);

private:
    void run();

    const std::chrono::seconds patience_;
    sigset_t set_{};
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::stop_source stop_;
    base::Monotonic::time_point deadline_{};
    int hangups_ = 0;
    bool over_ = false;
    std::thread thread_;
};

}  // namespace supd::app
