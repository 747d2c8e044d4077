// Owner of coroutines: nothing in supd is spawned without one. cancel() asks every task to end, wait()
// returns when the last one has. Make the group the last member of its owner, so that tasks end before what
// they use. Thread-safe. What a task throws (other than being cancelled) is logged under the group's name.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>

namespace supd::async {

namespace asio = boost::asio;

class TaskGroup {
public:
    explicit TaskGroup(std::string name);
    /// Waits: all tasks must have been cancelled or be about to end, and must not run on the calling thread.
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    /// Runs `task` on `executor`. After cancel() the task is not started; false is returned.
    bool spawn(asio::any_io_executor executor, asio::awaitable<void> task);
    /// Emits terminal cancellation to each task on its own executor. Idempotent.
    void cancel();
    /// Blocks until no task is left (never from an io thread that runs one of them).
    void wait();
    /// The same without blocking: `done` is called on the thread of the last task's end, or at once.
    void when_idle(std::function<void()> done);
    std::size_t size() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace supd::async
