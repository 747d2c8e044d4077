#include <supd/base/error.hpp>
#include <supd/db/database.hpp>

#include <gtest/gtest.h>
#include <support/private_postgres.hpp>

namespace supd::db {
namespace {

constexpr Statement kInsert{"test_insert", "insert into things (id) values ($1)"};
constexpr Statement kCount{"test_count", "select count(*) from things"};
constexpr std::chrono::milliseconds kTimeout{5000};

class TransactionTest : public testing::Test {
protected:
    TransactionTest() : connection(support::PrivatePostgres::instance().fresh_database(), kTimeout, "test") {
        connection.transact(
            [](Transaction& tx) { tx.script("create table things (id bigint primary key)"); });
    }
    std::int64_t count() {
        return connection.transact(Access::read_only,
                                   [](Transaction& tx) { return tx.exec(kCount).front().integer(0); });
    }
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
