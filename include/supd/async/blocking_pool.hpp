// Threads for work that blocks or burns: SQL (`db`), password hashing (`cpu`). A coroutine hops over with
// `co_await pool.run(fn)` and comes back to its own thread. The queue is bounded: over the bound, or after
// waiting too long in it, the caller gets Error 503 `overloaded`, never an unbounded wait.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace supd::async {

namespace asio = boost::asio;

class BlockingPool {
public:
    struct Limits {
        std::size_t threads = 4;
        std::size_t queue = 1024;
        std::chrono::milliseconds max_wait{5000};
    };

    BlockingPool(std::string name, Limits limits);
    /// Runs what is queued, then joins.
    ~BlockingPool();
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    /// Runs `fn(worker_index)` on a pool thread. The coroutine always waits for it, cancelled or not, so `fn`
    /// may hold references to the coroutine's locals. What `fn` throws is rethrown here.
    template <class F>
    asio::awaitable<std::invoke_result_t<F&, std::size_t>> run(F fn) {
        using R = std::invoke_result_t<F&, std::size_t>;
        using Slot = std::conditional_t<std::is_void_v<R>, bool, std::optional<R>>;
        Slot result{};
        std::exception_ptr error;
        auto executor = co_await asio::this_coro::executor;
        auto work = [&](std::size_t worker) {
            if constexpr (std::is_void_v<R>)
                fn(worker);
            else
                result.emplace(fn(worker));
        };
        std::function<void(std::size_t)> erased = std::ref(work);
        auto start = [&](auto handler) {
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            Job job;
            job.work = &erased;
            job.error = &error;
            job.queued = base::Monotonic::now();
            job.done = [shared, executor] { asio::post(executor, std::move(*shared)); };
            submit(std::move(job));
        };
        co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
        if (error) std::rethrow_exception(error);
        if constexpr (!std::is_void_v<R>) co_return std::move(*result);
    }

    std::size_t queued() const;
    std::size_t busy() const noexcept { return busy_.load(std::memory_order_relaxed); }
    std::size_t threads() const noexcept { return threads_.size(); }

private:
    struct Job {
        std::function<void(std::size_t)>* work = nullptr;
        std::exception_ptr* error = nullptr;
        base::Monotonic::time_point queued;
        std::function<void()> done;
    };
    void submit(Job job);
    void loop(std::size_t index);

    std::string name_;
    Limits limits_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    bool stopping_ = false;
    std::atomic<std::size_t> busy_{0};
    std::vector<std::thread> threads_;
};

}  // namespace supd::async
