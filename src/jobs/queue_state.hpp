// What a Queue is made of. Everything without a note belongs to the queue's executor, which one thread runs.
#pragma once

#include <supd/async/task_group.hpp>
#include <supd/base/clock.hpp>
#include <supd/jobs/queue.hpp>
#include <supd/trace/span.hpp>

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <vector>

namespace supd::jobs {

struct Queue::State : std::enable_shared_from_this<Queue::State> {
    struct Schedule {
        std::chrono::milliseconds interval;
        Periodic fn;
    };

    State(db::Database& database, Options wanted, Observer* watcher);

    // Set before start().
    db::Database& db;
    Options options;
    Observer* observer;
    std::map<std::string, Handler> handlers;
    std::map<std::string, AsyncHandler> async_handlers;
    std::map<std::string, Schedule> schedules;
    std::vector<std::string> kinds;
    asio::any_io_executor executor;

    std::unique_ptr<asio::steady_timer> wake;  ///< what the loop waits on
    std::unique_ptr<asio::steady_timer> idle;  ///< what stop() waits on
    std::map<std::int64_t, Job> held;          ///< by fence: claimed and not yet ended
    std::set<std::string> running_schedules;
    /// Held by another process when last asked for, and when that was.
    std::map<std::string, base::Monotonic::time_point> fenced_schedules;
    bool more = false;     ///< the last claim was cut short by concurrency
    bool looking = false;  ///< a look is under way and may miss what happens now
    bool stopping = false;
    base::Monotonic::time_point depth_due{};
    base::Monotonic::time_point reclaim_due{};
    std::mt19937_64 generator;

    std::atomic<bool> started{false};
    std::atomic<bool> nudged{false};
    mutable std::mutex depth_mutex;
    Depth last_depth;

    async::TaskGroup closing{"jobs stop"};
    async::TaskGroup group{"jobs"};

    double random();
    void nudge();
    /// Schedules worth looking for: neither running here nor just found running elsewhere.
    std::vector<std::string> wanted_schedules(base::Monotonic::time_point now);
    std::size_t busy() const { return held.size() + running_schedules.size(); }

    // Coroutines of the group. Each takes its owner by value: the posted tails of a stop may outlive the
    // Queue.
    static asio::awaitable<void> work(std::shared_ptr<State> self);
    static asio::awaitable<void> close(std::shared_ptr<State> self, std::chrono::milliseconds grace);
    static asio::awaitable<void> run_job(std::shared_ptr<State> self, Job job, trace::Span span);
    static asio::awaitable<void> run_schedule(std::shared_ptr<State> self, std::string name,
                                              trace::Span span);

    // run_job.cpp
    void start_job(const Job& job);
    void start_schedule(const std::string& name);
    trace::Span begin_span(std::string_view kind) const;
    struct Failure {
        std::string code;
        bool permanent = false;
    };
    asio::awaitable<Outcome> run_in_transaction(Job job, const Handler* handler);
    asio::awaitable<Outcome> run_async(Job job, const AsyncHandler* handler);
    asio::awaitable<Outcome> fail(Job job, Failure failure);
    static asio::awaitable<void> keep_lease(std::shared_ptr<State> self, Job job,
                                            std::shared_ptr<asio::steady_timer> ended);
    void ended(const Job& job, Outcome outcome, base::Monotonic::time_point began);
    void slot_free();
    /// Makes the loop look again, also when it is in the middle of a look. Queue's thread.
    void look_again();
};

/// The code to store for what a handler threw: never its text.
std::string code_of(const std::exception& error);

}  // namespace supd::jobs
