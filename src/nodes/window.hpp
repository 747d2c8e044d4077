// Many things to do, of which only so many are under way at a time: each that ends starts the next.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace supd::nodes {

/// Held by what it has started until that has ended. Thread-safe.
class Window : public std::enable_shared_from_this<Window> {
public:
    using Ended = std::function<void()>;
    /// Starts the one of that number; `ended` is to be called once, on any thread, even before it returns.
    using Start = std::function<void(std::size_t number, Ended ended)>;

    /// `all_ended`: once, on the thread of the last that ended; of no things never.
    Window(std::size_t count, std::size_t width, Start start, Ended all_ended)
        : count_(count), width_(width), start_(std::move(start)), all_ended_(std::move(all_ended)) {}

    void run() {
        std::unique_lock lock(mutex_);
        // One starts at a time, and goes on as long as there is room: what ends at once does not nest.
        if (starting_) return;
        starting_ = true;
        while (next_ < count_ && next_ - ended_ < width_) {
            const auto number = next_++;
            lock.unlock();
            start_(number, [self = shared_from_this()] { self->end(); });
            lock.lock();
        }
        starting_ = false;
    }

private:
    void end() {
        bool all = false;
        {
            const std::lock_guard lock(mutex_);
            all = ++ended_ == count_;
        }
        if (all)
            all_ended_();
        else
            run();
    }

    const std::size_t count_;
    const std::size_t width_;
    const Start start_;
    const Ended all_ended_;
    std::mutex mutex_;
    std::size_t next_ = 0;
    std::size_t ended_ = 0;
    bool starting_ = false;
};

}  // namespace supd::nodes
