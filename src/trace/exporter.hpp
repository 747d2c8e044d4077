// The queue of ended spans and the thread that empties it.
#pragma once

#include "record.hpp"

#include <supd/trace/tracer.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace supd::trace {

class Tracer::Exporter {
public:
    explicit Exporter(Options options);
    ~Exporter();
    Exporter(const Exporter&) = delete;
    Exporter& operator=(const Exporter&) = delete;

    /// Any thread; takes a lock that is never held for longer than a swap.
    void add(std::unique_ptr<Record> record) noexcept;
    void hurry(base::Monotonic::time_point until);
    /// One caller at a time.
    void stop(std::chrono::milliseconds patience);
    Numbers numbers() const noexcept;

private:
    using Batch = std::vector<std::unique_ptr<Record>>;

    void run();
    /// What is next, or nothing when all is told and no more comes.
    Batch next();
    void deliver(const Batch& batch);
    std::optional<Answer> ask(const std::string& body);
    /// Waits before the next attempt; false: there will be none, the process is stopping.
    bool pause(std::chrono::milliseconds time);
    void note(bool taken, int status);

    const Options options_;
    std::mutex mutex_;
    std::condition_variable wake_;
    Batch queue_;
    bool stopping_ = false;
    base::Monotonic::time_point until_ = base::Monotonic::time_point::max();
    std::atomic<std::uint64_t> exported_{0}, overflown_{0}, undelivered_{0}, refused_{0};
    bool away_ = false;  // of its thread: an outage is logged once
    std::string why_;
    std::thread thread_;
};

}  // namespace supd::trace
