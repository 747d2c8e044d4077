#include <supd/async/io_threads.hpp>

#include <pthread.h>

#include <string>

namespace supd::async {
namespace {
thread_local std::size_t t_index = IoThreads::kNoThread;
}

IoThreads::IoThreads(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        auto one = std::make_unique<One>();
        // Concurrency hint 1: exactly one thread runs it. The locks stay: other threads post to it.
        one->context = std::make_unique<asio::io_context>(1);
        one->work = std::make_unique<asio::executor_work_guard<asio::io_context::executor_type>>(
            asio::make_work_guard(*one->context));
        threads_.push_back(std::move(one));
    }
}

IoThreads::~IoThreads() {
    stop();
}

void IoThreads::start() {
    {
        const std::lock_guard lock(mutex_);
        running_ = threads_.size();
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        auto* one = threads_[i].get();
        one->thread = std::thread([this, one, i] {
            t_index = i;
            pthread_setname_np(pthread_self(), ("io-" + std::to_string(i)).c_str());
            one->context->run();
            const std::lock_guard lock(mutex_);
            --running_;
            ended_.notify_all();
        });
    }
}

void IoThreads::join() {
    for (auto& one : threads_)
        one->work->reset();
    for (auto& one : threads_)
        if (one->thread.joinable()) one->thread.join();
}

bool IoThreads::join_until(std::chrono::steady_clock::time_point at) {
    for (auto& one : threads_)
        one->work->reset();
    bool dry;
    {
        std::unique_lock lock(mutex_);
        dry = ended_.wait_until(lock, at, [this] { return running_ == 0; });
    }
    if (!dry)
        for (auto& one : threads_)
            one->context->stop();
    join();
    return dry;
}

void IoThreads::stop() {
    for (auto& one : threads_)
        one->context->stop();
    join();
}

std::size_t IoThreads::current() noexcept {
    return t_index;
}

IoThreads::Acting::Acting(std::size_t index) noexcept : before_(t_index) {
    t_index = index;
}

IoThreads::Acting::~Acting() {
    t_index = before_;
}

}  // namespace supd::async
