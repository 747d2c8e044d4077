// Job queues on a database of their own: what several processes are to the table, several Workers are here.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/jobs/queue.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <support/private_postgres.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <thread>

namespace supd::jobs {

using namespace std::chrono_literals;

constexpr db::Statement kCountJobs{"t_count_jobs", "select count(*) from jobs"};
constexpr db::Statement kStateOf{"t_state",
                                 "select state, attempts, coalesce(last_error, '') from jobs where id = $1"};
constexpr db::Statement kOnlyJob{"t_only",
                                 "select id, state, attempts, coalesce(last_error, ''), payload from jobs"};
constexpr db::Statement kEffect{"t_effect", "insert into effects (job) values ($1)"};
constexpr db::Statement kCountEffects{"t_effects", "select count(*), count(distinct job) from effects"};
constexpr db::Statement kExpire{"t_expire",
                                "update jobs set lease_until = now() - interval '1 second' where id = $1"};

inline bool eventually(const std::function<bool()>& true_yet, std::chrono::milliseconds within = 10s) {
    const auto until = std::chrono::steady_clock::now() + within;
    while (!true_yet()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(2ms);  // asks the database again
    }
    return true;
}

class Counts : public Observer {
public:
    void job_ended(std::string_view kind, Outcome outcome, std::chrono::duration<double>) override {
        const std::lock_guard lock(mutex_);
        ++counts_[std::string(kind) + " " + std::string(name_of(outcome))];
    }
    void depth(const Depth& depth) override {
        const std::lock_guard lock(mutex_);
        last_ = depth;
    }
    int of(const std::string& kind_and_outcome) const {
        const std::lock_guard lock(mutex_);
        const auto found = counts_.find(kind_and_outcome);
        return found == counts_.end() ? 0 : found->second;
    }
    std::optional<Depth> last() const {
        const std::lock_guard lock(mutex_);
        return last_;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, int> counts_;
    std::optional<Depth> last_;
};

/// One process' share: its own db pool, io thread and queue.
class Worker {
public:
    Worker(const std::string& url, Options options)
        : db_(pool_of(url)), queue(db_, std::move(options), &counts) {}
    ~Worker() {
        stop();
        io_.join();  // no handler is left to touch the queue, whose timers need the context a little longer
    }

    void start() {
        io_.start();
        queue.start(io_.context(0).get_executor());
        started_ = true;
    }
    void stop(std::chrono::milliseconds grace = 5s) {
        if (!started_) return;
        started_ = false;
        boost::asio::co_spawn(io_.context(0), queue.stop(grace), boost::asio::use_future).get();
    }
    boost::asio::io_context& context() { return io_.context(0); }

private:
    static db::DatabaseOptions pool_of(const std::string& url) {
        db::DatabaseOptions options;
        options.url = url;
        options.connections = 4;
        return options;
    }
    bool started_ = false;
    db::Database db_;
    async::IoThreads io_{1};

public:
    Counts counts;
    Queue queue;
};

class JobsTest : public testing::Test {
protected:
    JobsTest() : url(support::migrated_database()), connection(url, 5000ms, "test") {
        connection.transact([](db::Transaction& tx) { tx.script("create table effects (job bigint)"); });
    }

    static Options quick() {
        Options options;
        options.idle_poll = 20ms;
        options.backoff_base = 1ms;
        options.backoff_cap = 10ms;
        return options;
    }
    /// Looks only when told: what happens without a poll happens because of a nudge or a due time.
    static Options patient() {
        Options options;
        options.idle_poll = 1h;
        return options;
    }

    void add(std::string_view kind, std::string_view payload = "{}", const EnqueueOptions& options = {}) {
        connection.transact([&](db::Transaction& tx) { enqueue(tx, kind, payload, options); });
    }
    std::int64_t count() {
        return connection.transact(
            [](db::Transaction& tx) { return tx.exec(kCountJobs).front().integer(0); });
    }
    /// All effects, and those of different jobs.
    std::pair<std::int64_t, std::int64_t> effects() {
        return connection.transact([](db::Transaction& tx) {
            const auto rows = tx.exec(kCountEffects);
            return std::pair(rows.front().integer(0), rows.front().integer(1));
        });
    }
    struct Seen {
        std::int64_t id = 0;
        std::string state;
        std::int64_t attempts = 0;
        std::string error;
        std::string payload;
    };
    std::optional<Seen> only_job() {
        return connection.transact([](db::Transaction& tx) -> std::optional<Seen> {
            const auto rows = tx.exec(kOnlyJob);
            if (rows.size() != 1) return std::nullopt;
            const auto row = rows.front();
            return Seen{row.integer(0), row.text(1), row.integer(2), row.text(3), row.text(4)};
        });
    }
    bool dead() {
        const auto job = only_job();
        return job && job->state == "dead";
    }

    std::string url;
    db::Connection connection;
};

}  // namespace supd::jobs
