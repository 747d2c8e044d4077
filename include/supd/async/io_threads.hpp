// The `io` pool: one io_context per core, one thread each. A connection lives and dies on its thread, so
// connection code needs no mutex and no strand; crossing over is a post to the other thread's context.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace supd::async {

namespace asio = boost::asio;

class IoThreads {
public:
    static constexpr std::size_t kNoThread = static_cast<std::size_t>(-1);

    explicit IoThreads(std::size_t count);
    ~IoThreads();
    IoThreads(const IoThreads&) = delete;
    IoThreads& operator=(const IoThreads&) = delete;

    std::size_t size() const noexcept { return threads_.size(); }
    asio::io_context& context(std::size_t index) noexcept { return *threads_[index]->context; }

    void start();
    /// Lets the loops run dry and joins. Everything that keeps work alive must have been stopped before.
    void join();
    /// The same, but abandons what is left at `at`. True = all ran dry.
    bool join_until(std::chrono::steady_clock::time_point at);
    /// Abandons what is left and joins: the end of the grace period.
    void stop();

    /// The index of the io thread that calls, or kNoThread.
    static std::size_t current() noexcept;

    /// While it lives, the calling thread counts as io thread `index`: for a test that turns the contexts by
    /// hand, none of them started.
    class Acting {
    public:
        explicit Acting(std::size_t index) noexcept;
        ~Acting();
        Acting(const Acting&) = delete;
        Acting& operator=(const Acting&) = delete;

    private:
        std::size_t before_;
    };

private:
    struct One {
        std::unique_ptr<asio::io_context> context;
        std::unique_ptr<asio::executor_work_guard<asio::io_context::executor_type>> work;
        std::thread thread;
    };
    std::vector<std::unique_ptr<One>> threads_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::size_t running_ = 0;
};

}  // namespace supd::async
