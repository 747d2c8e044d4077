// Whether Redis is asked at all. One lost connection or one deadline that passed opens it; while it is open
// nothing is sent, so nobody waits. After a pause one try is made (half open); its outcome closes it or
// doubles the pause. A connection has to last before pauses are short again: a server may take the sign-in
// and then drop it, each time. Pauses are spread at random so that many processes do not come back in step.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

namespace supd::cache {

struct BackOff {
    std::chrono::milliseconds first{50};
    std::chrono::milliseconds most{2000};
};

class Breaker {
public:
    enum class State { open, half_open, closed };

    /// `chance` gives numbers from [0, 1).
    Breaker(BackOff back_off, std::function<double()> chance);

    /// Any thread.
    State state() const noexcept { return state_.load(std::memory_order_acquire); }
    bool closed() const noexcept { return state() == State::closed; }

    // One thread.
    void trying() noexcept;
    void succeeded() noexcept;
    /// What succeeded has lasted: the next pause is the first again.
    void settled() noexcept;
    /// Opens it; how long to pause before the next try: between half of the back-off and all of it.
    std::chrono::milliseconds failed();

private:
    BackOff back_off_;
    std::function<double()> chance_;
    std::chrono::milliseconds next_;
    std::atomic<State> state_{State::open};
};

}  // namespace supd::cache
