#include <supd/base/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <jobs/jobs_fixture.hpp>

#include <atomic>
#include <set>

namespace supd::jobs {
namespace {

namespace asio = boost::asio;

void effect(db::Transaction& tx, const Job& job) {
    tx.exec(kEffect, job.id);
}

TEST_F(JobsTest, each_job_has_exactly_one_effect_under_many_workers) {
    constexpr int kJobs = 2000;
    Worker left(url, quick()), right(url, quick());
    for (auto* worker : {&left, &right}) {
        worker->queue.on("count", effect);
        worker->start();
    }
    for (int i = 0; i < kJobs; i += 100)
        connection.transact([&](db::Transaction& tx) {
            for (int j = 0; j < 100; ++j)
                enqueue(tx, "count", "{}");
        });
    ASSERT_TRUE(eventually([&] { return count() == 0; }, 60s));
    EXPECT_EQ(effects(), std::pair(std::int64_t{kJobs}, std::int64_t{kJobs}));
    left.stop();
    right.stop();
    EXPECT_EQ(left.counts.of("count done") + right.counts.of("count done"), kJobs);
    EXPECT_GT(left.counts.of("count done"), 0);
    EXPECT_GT(right.counts.of("count done"), 0);
}

TEST_F(JobsTest, a_commit_wakes_the_queue_at_once) {
    Worker worker(url, patient());
    worker.queue.on("count", effect);
    worker.start();
    db::Connection other(url, 5000ms, "test");
    // The first look happens at the start; only the commit can cause another one.
    ASSERT_TRUE(eventually([&] { return worker.counts.last().has_value(); }));
    other.transact([&](db::Transaction& tx) { worker.queue.enqueue(tx, "count", "{}"); });
    EXPECT_TRUE(eventually([&] { return effects().first == 1; }, 2s));
}

TEST_F(JobsTest, a_rollback_leaves_no_job) {
    Worker worker(url, patient());
    auto act = [&](db::Transaction& tx) {
        worker.queue.enqueue(tx, "count", "{}");
        throw base::forbidden();
    };
    EXPECT_THROW(connection.transact(act), base::Error);
    EXPECT_EQ(count(), 0);
}

TEST_F(JobsTest, a_unique_key_joins_the_waiting_job) {
    EnqueueOptions options;
    options.unique_key = "chat-1";
    add("digest", R"({"n":1})", options);
    add("digest", R"({"n":2})", options);
    ASSERT_EQ(count(), 1);
    EXPECT_EQ(only_job()->payload, R"({"n":2})");
    add("other", "{}", options);
    EXPECT_EQ(count(), 2);
}

TEST_F(JobsTest, a_unique_key_does_not_join_a_running_job) {
    EnqueueOptions options;
    options.unique_key = "chat-1";
    Worker worker(url, quick());
    std::atomic<int> runs{0};
    db::Connection other(url, 5000ms, "test");
    worker.queue.on("digest", [&](db::Transaction& tx, const Job& job) {
        if (runs++ == 0)  // somebody asks anew while the first runs
            other.transact([&](db::Transaction& again) { enqueue(again, "digest", "{}", options); });
        effect(tx, job);
    });
    worker.start();
    add("digest", "{}", options);
    ASSERT_TRUE(eventually([&] { return count() == 0; }));
    EXPECT_EQ(effects().second, 2);
}

TEST_F(JobsTest, a_failing_job_is_retried_and_then_kept_dead) {
    Worker worker(url, quick());
    std::atomic<int> runs{0};
    worker.queue.on("fails", [&](db::Transaction& tx, const Job& job) {
        effect(tx, job);
        ++runs;
        throw base::unavailable("mail_server_away", "secret text");
    });
    worker.start();
    EnqueueOptions options;
    options.max_attempts = 4;
    add("fails", "{}", options);
    ASSERT_TRUE(eventually([&] { return dead(); }));
    EXPECT_EQ(runs, 4);
    EXPECT_EQ(only_job()->attempts, 4);
    EXPECT_EQ(only_job()->error, "mail_server_away");
    EXPECT_EQ(effects().first, 0) << "a failed attempt left its effect";
    ASSERT_TRUE(eventually([&] { return worker.counts.of("fails dead") == 1; }));
    EXPECT_EQ(worker.counts.of("fails retried"), 3);
}

TEST_F(JobsTest, a_job_that_fails_at_first_succeeds_later) {
    Worker worker(url, quick());
    std::atomic<int> runs{0};
    worker.queue.on("flaky", [&](db::Transaction& tx, const Job& job) {
        if (++runs < 3) throw std::runtime_error("not yet");
        EXPECT_EQ(job.attempt, 3);
        effect(tx, job);
    });
    worker.start();
    add("flaky");
    ASSERT_TRUE(eventually([&] { return count() == 0; }));
    EXPECT_EQ(effects().first, 1);
}

TEST_F(JobsTest, a_permanent_failure_is_not_retried) {
    Worker worker(url, quick());
    worker.queue.on("hopeless", [](db::Transaction&, const Job&) { throw Permanent("no_such_template"); });
    worker.start();
    add("hopeless");
    ASSERT_TRUE(eventually([&] { return dead(); }));
    EXPECT_EQ(only_job()->attempts, 1);
    EXPECT_EQ(only_job()->error, "no_such_template");
}

TEST_F(JobsTest, a_kind_nobody_here_knows_waits) {
    Worker worker(url, quick());
    worker.queue.on("known", effect);
    worker.start();
    add("unknown");
    add("known");
    ASSERT_TRUE(eventually([&] { return count() == 1; }));
    EXPECT_EQ(only_job()->state, "ready");
    EXPECT_EQ(only_job()->attempts, 0);
}

TEST_F(JobsTest, a_lost_lease_goes_to_another_and_the_old_holder_is_refused) {
    auto options = patient();
    options.concurrency = 1;  // full, so that it cannot take its own lost job again
    Worker slow(url, options), fast(url, quick());
    std::atomic<std::int64_t> slow_fence{0}, fast_fence{0};
    auto gate =
        std::make_shared<asio::steady_timer>(slow.context(), std::chrono::steady_clock::time_point::max());
    slow.queue.on_async("outside", [&, gate](Job job) -> asio::awaitable<void> {
        slow_fence = job.fence;
        co_await gate->async_wait(asio::as_tuple(asio::use_awaitable));
    });
    fast.queue.on_async("outside", [&](Job job) -> asio::awaitable<void> {
        fast_fence = job.fence;
        co_return;
    });
    slow.start();
    connection.transact([&](db::Transaction& tx) { slow.queue.enqueue(tx, "outside", "{}"); });
    ASSERT_TRUE(eventually([&] { return slow_fence != 0; }));
    const auto id = only_job()->id;
    connection.transact([&](db::Transaction& tx) { tx.exec(kExpire, id); });  // as if its process hung
    fast.start();
    ASSERT_TRUE(eventually([&] { return fast.counts.of("outside done") == 1; }));
    EXPECT_GT(fast_fence, slow_fence);
    boost::asio::post(slow.context(), [gate] { gate->cancel(); });
    ASSERT_TRUE(eventually([&] { return slow.counts.of("outside fenced") == 1; }));
    EXPECT_EQ(slow.counts.of("outside done"), 0);
    EXPECT_EQ(count(), 0);
}

TEST_F(JobsTest, the_lease_of_a_long_job_is_renewed) {
    auto options = quick();
    options.lease = 150ms;
    Worker worker(url, options), rival(url, options);
    std::atomic<int> runs{0};
    auto handler = [&](Job) -> asio::awaitable<void> {
        ++runs;
        asio::steady_timer timer(co_await asio::this_coro::executor, 600ms);
        co_await timer.async_wait(asio::use_awaitable);
    };
    worker.queue.on_async("long", handler);
    rival.queue.on_async("long", handler);
    worker.start();
    rival.start();
    add("long");
    ASSERT_TRUE(eventually([&] { return count() == 0; }));
    EXPECT_EQ(runs, 1);
}

TEST_F(JobsTest, a_job_that_kills_its_workers_dies) {
    EnqueueOptions options;
    options.max_attempts = 1;
    add("killer", "{}", options);
    const auto id = only_job()->id;
    Worker victim(url, patient());
    std::atomic<bool> taken{false};
    auto gate =
        std::make_shared<asio::steady_timer>(victim.context(), std::chrono::steady_clock::time_point::max());
    victim.queue.on_async("killer", [&, gate](Job) -> asio::awaitable<void> {
        taken = true;
        co_await gate->async_wait(asio::use_awaitable);
    });
    victim.start();
    ASSERT_TRUE(eventually([&] { return taken.load(); }));
    connection.transact([&](db::Transaction& tx) { tx.exec(kExpire, id); });
    Worker other(url, quick());
    other.queue.on("killer", effect);
    other.start();
    ASSERT_TRUE(eventually([&] { return dead(); }));
    EXPECT_EQ(only_job()->error, "lease_expired");
}

TEST_F(JobsTest, stop_waits_for_what_runs) {
    Worker worker(url, quick());
    std::atomic<bool> running{false};
    worker.queue.on_async("short", [&](Job) -> asio::awaitable<void> {
        running = true;
        asio::steady_timer timer(co_await asio::this_coro::executor, 200ms);
        co_await timer.async_wait(asio::use_awaitable);
    });
    worker.start();
    add("short");
    ASSERT_TRUE(eventually([&] { return running.load(); }));
    worker.stop(10s);
    EXPECT_EQ(count(), 0);
    EXPECT_EQ(worker.counts.of("short done"), 1);
}

TEST_F(JobsTest, stop_gives_back_what_does_not_end_in_time) {
    Worker worker(url, quick());
    std::atomic<bool> running{false};
    worker.queue.on_async("endless", [&](Job) -> asio::awaitable<void> {
        running = true;
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        co_await timer.async_wait(asio::use_awaitable);
    });
    worker.start();
    add("endless");
    ASSERT_TRUE(eventually([&] { return running.load(); }));
    const auto began = std::chrono::steady_clock::now();
    worker.stop(50ms);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    const auto job = only_job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->state, "ready");
    EXPECT_EQ(job->attempts, 0) << "a restart must not use up attempts";
    EXPECT_EQ(worker.counts.of("endless released"), 1);
}

TEST_F(JobsTest, concurrency_is_bounded) {
    auto options = quick();
    options.concurrency = 3;
    Worker worker(url, options);
    std::atomic<int> now{0}, most{0}, total{0};
    worker.queue.on_async("wide", [&](Job) -> asio::awaitable<void> {
        const int here = ++now;
        if (here > most) most = here;
        asio::steady_timer timer(co_await asio::this_coro::executor, 5ms);
        co_await timer.async_wait(asio::use_awaitable);
        --now;
        ++total;
    });
    for (int i = 0; i < 30; ++i)
        add("wide");
    worker.start();
    ASSERT_TRUE(eventually([&] { return count() == 0; }));
    EXPECT_EQ(total, 30);
    EXPECT_EQ(most, 3);
}

TEST_F(JobsTest, a_delayed_job_runs_when_due_without_polling) {
    Worker worker(url, patient());
    worker.queue.on("later", effect);
    worker.start();
    EnqueueOptions options;
    options.run_after = 300ms;
    const auto began = std::chrono::steady_clock::now();
    connection.transact([&](db::Transaction& tx) { worker.queue.enqueue(tx, "later", "{}", options); });
    ASSERT_TRUE(eventually([&] { return effects().first == 1; }, 5s));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 290ms);
}

TEST_F(JobsTest, the_depth_is_reported) {
    Worker worker(url, patient());
    add("nobody");
    worker.queue.on("known", effect);
    worker.start();
    ASSERT_TRUE(eventually([&] { return worker.counts.last().has_value(); }));
    EXPECT_EQ(worker.counts.last()->ready, 1);
    EXPECT_EQ(worker.queue.depth().ready, 1);
    EXPECT_EQ(worker.queue.depth().dead, 0);
}

TEST_F(JobsTest, what_the_table_would_refuse_is_refused_before) {
    EXPECT_THROW(add(""), std::invalid_argument);
    EXPECT_THROW(add(std::string(kMaxKind + 1, 'k')), std::invalid_argument);
    EXPECT_THROW(add("big", std::string(kMaxPayload + 1, ' ')), std::invalid_argument);
    add("big", std::string(kMaxPayload, ' '));
    EXPECT_EQ(count(), 1);
}

TEST(BackoffTest, grows_to_the_cap_with_full_jitter) {
    EXPECT_EQ(backoff(1, 1000ms, 3600000ms, 1.0), 1000ms);
    EXPECT_EQ(backoff(2, 1000ms, 3600000ms, 1.0), 2000ms);
    EXPECT_EQ(backoff(5, 1000ms, 3600000ms, 1.0), 16000ms);
    EXPECT_EQ(backoff(5, 1000ms, 3600000ms, 0.5), 8000ms);
    EXPECT_EQ(backoff(5, 1000ms, 3600000ms, 0.0), 0ms);
    EXPECT_EQ(backoff(100, 1000ms, 3600000ms, 1.0), 3600000ms);
    EXPECT_EQ(backoff(kMaxAttempts, 1000ms, 3600000ms, 1.0), 3600000ms);
}

}  // namespace
}  // namespace supd::jobs
