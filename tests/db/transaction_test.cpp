#include <supd/base/error.hpp>
#include <supd/db/database.hpp>

#include <gtest/gtest.h>
#include <support/private_postgres.hpp>

#include <atomic>
#include <barrier>
#include <thread>

namespace supd::db {
namespace {

constexpr Statement kInsert{"test_insert", "insert into things (id) values ($1)"};
constexpr Statement kCount{"test_count", "select count(*) from things"};
constexpr Statement kLock{"test_lock", "select id from things where id = $1 for update"};
constexpr std::chrono::milliseconds kTimeout{5000};

class TransactionTest : public testing::Test {
protected:
    TransactionTest()
        : url(support::PrivatePostgres::instance().fresh_database()), connection(url, kTimeout, "test") {
        connection.transact(
            [](Transaction& tx) { tx.script("create table things (id bigint primary key)"); });
    }
    std::int64_t count() {
        return connection.transact(Access::read_only,
                                   [](Transaction& tx) { return tx.exec(kCount).front().integer(0); });
    }
    std::string url;
    Connection connection;
};

TEST_F(TransactionTest, commits_what_the_function_did) {
    connection.transact([](Transaction& tx) { tx.exec(kInsert, 1); });
    EXPECT_EQ(count(), 1);
}

TEST_F(TransactionTest, a_throwing_function_leaves_nothing) {
    auto act = [](Transaction& tx) {
        tx.exec(kInsert, 1);
        throw base::forbidden();
    };
    EXPECT_THROW(connection.transact(act), base::Error);
    EXPECT_EQ(count(), 0);
}

TEST_F(TransactionTest, a_refused_row_names_its_constraint) {
    connection.transact([](Transaction& tx) { tx.exec(kInsert, 1); });
    try {
        connection.transact([](Transaction& tx) { tx.exec(kInsert, 1); });
        FAIL() << "the second row was let in";
    } catch (const ConstraintViolation& refused) {
        EXPECT_TRUE(refused.unique());
        EXPECT_EQ(refused.constraint(), "things_pkey");
    }
    EXPECT_EQ(count(), 1);
}

TEST_F(TransactionTest, who_loses_a_deadlock_runs_again) {
    connection.transact([](Transaction& tx) {
        tx.exec(kInsert, 1);
        tx.exec(kInsert, 2);
    });
    Connection other(url, kTimeout, "test");
    std::barrier both_hold(2);
    std::atomic<int> runs{0};
    const auto lock_both = [&](Connection& link, int first, int second) {
        bool waited = false;
        link.transact([&](Transaction& tx) {
            ++runs;
            tx.exec(kLock, first);
            if (!std::exchange(waited, true)) both_hold.arrive_and_wait();
            tx.exec(kLock, second);
        });
    };
    std::thread there([&] { lock_both(other, 2, 1); });
    lock_both(connection, 1, 2);
    there.join();
    EXPECT_GE(runs, 3);  // each waits for the other's deadlock check; a slow machine ends both
}

TEST_F(TransactionTest, the_options_of_the_url_are_kept) {
    Connection tuned(url + "&options=-c%20work_mem%3D7MB", kTimeout, "test");
    constexpr Statement kShow{"test_show",
                              "select current_setting('work_mem') || current_setting('TimeZone')"};
    EXPECT_EQ(tuned.transact([&](Transaction& tx) { return tx.exec(kShow).front().text(0); }), "7MBUTC");
}

TEST_F(TransactionTest, read_only_means_it) {
    EXPECT_ANY_THROW(connection.transact(Access::read_only, [](Transaction& tx) { tx.exec(kInsert, 1); }));
    EXPECT_EQ(count(), 0);
}

TEST(PrivatePostgresTest, databases_are_separate) {
    auto& server = support::PrivatePostgres::instance();
    EXPECT_NE(server.fresh_database(), server.fresh_database());
}

}  // namespace
}  // namespace supd::db
