// Whether every io thread still turns: a beat is posted through each, and the next round waits for all of the
// last.
#pragma once

#include <supd/async/io_threads.hpp>

#include <atomic>
#include <cstddef>
#include <memory>

namespace supd::app {

class Heartbeat {
public:
    /// `io` must outlive it.
    explicit Heartbeat(async::IoThreads& io) : io_(io) {}
    /// False when a beat of the last round is still under way: that thread is stuck. Else sends the next
    /// round. One caller at a time.
    bool beat();

private:
    async::IoThreads& io_;
    std::size_t sent_ = 0;
    std::shared_ptr<std::atomic<std::size_t>> returned_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace supd::app
