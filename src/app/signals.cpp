#include "signals.hpp"

#include "cli.hpp"

#include <supd/base/log.hpp>

#include <pthread.h>
#include <unistd.h>

namespace supd::app {

Signals::Signals(std::chrono::seconds patience) : patience_(patience) {
    sigemptyset(&set_);
    for (const int one : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set_, one);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    thread_ = std::thread([this] { run(); });
}

Signals::~Signals() {
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    changed_.notify_all();
    pthread_kill(thread_.native_handle(), SIGHUP);
    thread_.join();
}

void Signals::run() {
    for (;;) {
        int received = 0;
        sigwait(&set_, &received);
        std::unique_lock lock(mutex_);
        if (over_) return;
        if (received == SIGHUP) {
            ++hangups_;
            changed_.notify_all();
            continue;
        }
        deadline_ = base::Monotonic::now() + patience_;
        lock.unlock();
        stop_.request_stop();
        lock.lock();
        changed_.notify_all();
        if (changed_.wait_until(lock, deadline_, [this] { return over_; })) return;
        base::log::warn("stop_timed_out");
        base::log::finish();
        ::_exit(kExitOk);
    }
}

base::Monotonic::time_point Signals::deadline() const {
    const std::lock_guard lock(mutex_);
    return deadline_;
}

Signals::Woken Signals::wait(std::optional<std::chrono::microseconds> time) {
    std::unique_lock lock(mutex_);
    const auto woken = [this] { return stopping() || hangups_ > 0; };
    if (!time)
        changed_.wait(lock, woken);
    else if (!changed_.wait_for(lock, *time, woken))
        return Woken::time;
    if (stopping()) return Woken::stop;
    hangups_ = 0;
    return Woken::hangup;
}

bool Signals::wait_for_stop(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return stopping(); });
}

}  // namespace supd::app
