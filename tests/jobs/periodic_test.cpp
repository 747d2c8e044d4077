#include <supd/base/error.hpp>

#include <jobs/jobs_fixture.hpp>

#include <atomic>

namespace supd::jobs {
namespace {

constexpr db::Statement kSchedule{
    "t_schedule", "select runs, failures, coalesce(last_error, '') from job_schedules where name = $1"};
constexpr db::Statement kAgain{"t_again", "update job_schedules set next_run_at = now() where name = $1"};

class PeriodicTest : public JobsTest {
protected:
    std::int64_t runs(const std::string& name) {
        return connection.transact([&](db::Transaction& tx) {
            const auto rows = tx.exec(kSchedule, name);
            return rows.empty() ? -1 : rows.front().integer(0);
        });
    }
};

TEST_F(PeriodicTest, one_run_per_interval_over_all_processes) {
    Worker left(url, quick()), right(url, quick());
    std::atomic<int> calls{0};
    for (auto* worker : {&left, &right}) {
        worker->queue.add_periodic("sweep", 1h, [&](db::Transaction& tx) {
            ++calls;
            tx.exec(kEffect, 1);
            return false;
        });
        worker->start();
    }
    ASSERT_TRUE(eventually([&] { return runs("sweep") == 1; }));
    connection.transact([](db::Transaction& tx) { tx.exec(kAgain, "sweep"); });
    ASSERT_TRUE(eventually([&] { return runs("sweep") == 2; }));
    left.stop();
    right.stop();
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(effects().first, 2);
    EXPECT_EQ(left.counts.of("sweep done") + right.counts.of("sweep done"), 2);
}

TEST_F(PeriodicTest, comes_back_after_its_interval_without_polling) {
    Worker worker(url, patient());
    worker.queue.add_periodic("sweep", 50ms, [](db::Transaction&) { return false; });
    worker.start();
    EXPECT_TRUE(eventually([&] { return runs("sweep") >= 3; }, 5s));
}

TEST_F(PeriodicTest, a_failed_run_leaves_nothing_and_comes_back) {
    auto options = quick();
    Worker worker(url, options);
    std::atomic<int> calls{0};
    worker.queue.add_periodic("sweep", 1h, [&](db::Transaction& tx) {
        tx.exec(kEffect, 1);
        if (++calls < 3) throw base::unavailable("not_yet", "");
        return false;
    });
    worker.start();
    ASSERT_TRUE(eventually([&] { return runs("sweep") == 1; }));
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(effects().first, 1);
    worker.stop();
    EXPECT_EQ(worker.counts.of("sweep retried"), 2);
}

TEST_F(PeriodicTest, a_run_that_left_some_comes_back_at_once) {
    Worker worker(url, patient());
    std::atomic<int> calls{0};
    worker.queue.add_periodic("sweep", 1h, [&](db::Transaction&) { return ++calls < 4; });
    worker.start();
    EXPECT_TRUE(eventually([&] { return runs("sweep") == 4; }));
}

TEST_F(PeriodicTest, a_shorter_interval_takes_effect_on_the_next_start) {
    {
        Worker worker(url, patient());
        worker.queue.add_periodic("sweep", 1h, [](db::Transaction&) { return false; });
        worker.start();
        ASSERT_TRUE(eventually([&] { return runs("sweep") == 1; }));
    }
    Worker worker(url, patient());
    worker.queue.add_periodic("sweep", 100ms, [](db::Transaction&) { return false; });
    worker.start();
    EXPECT_TRUE(eventually([&] { return runs("sweep") >= 2; }, 5s));
}

}  // namespace
}  // namespace supd::jobs
