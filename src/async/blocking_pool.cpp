#include <supd/async/blocking_pool.hpp>

#include <pthread.h>

namespace supd::async {

BlockingPool::BlockingPool(std::string name, Limits limits) : name_(std::move(name)), limits_(limits) {
    for (std::size_t i = 0; i < limits_.threads; ++i)
        threads_.emplace_back([this, i] {
            pthread_setname_np(pthread_self(), (name_ + "-" + std::to_string(i)).substr(0, 15).c_str());
            loop(i);
        });
}

BlockingPool::~BlockingPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_)
        thread.join();
}

void BlockingPool::submit(Job job) {
    {
        const std::lock_guard lock(mutex_);
        if (queue_.size() < limits_.queue && !stopping_) {
            queue_.push_back(std::move(job));
            wake_.notify_one();
            return;
        }
    }
    *job.error = std::make_exception_ptr(base::unavailable("overloaded", "The server is busy."));
    job.done();
}

void BlockingPool::loop(std::size_t index) {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        Job job = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        busy_.fetch_add(1, std::memory_order_relaxed);
        if (base::Monotonic::now() - job.queued > limits_.max_wait) {
            *job.error = std::make_exception_ptr(base::unavailable("overloaded", "The server is busy."));
        } else {
            try {
                (*job.work)(index);
            } catch (...) {
                *job.error = std::current_exception();
            }
        }
        busy_.fetch_sub(1, std::memory_order_relaxed);
        job.done();
        job = Job{};
        lock.lock();
    }
}

std::size_t BlockingPool::queued() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
}

}  // namespace supd::async
