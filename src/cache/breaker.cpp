#include <supd/cache/breaker.hpp>

#include <algorithm>
#include <utility>

namespace supd::cache {

Breaker::Breaker(BackOff back_off, std::function<double()> chance)
    : back_off_(back_off), chance_(std::move(chance)), next_(back_off.first) {}

void Breaker::trying() noexcept {
    state_.store(State::half_open, std::memory_order_release);
}

void Breaker::succeeded() noexcept {
    state_.store(State::closed, std::memory_order_release);
}

void Breaker::settled() noexcept {
    next_ = back_off_.first;
}

std::chrono::milliseconds Breaker::failed() {
    state_.store(State::open, std::memory_order_release);
    const auto whole = std::exchange(next_, std::min(next_ * 2, back_off_.most));
    const auto spread = static_cast<double>(whole.count()) * (0.5 + chance_() / 2);
    return std::chrono::milliseconds(static_cast<std::int64_t>(spread));
}

}  // namespace supd::cache
