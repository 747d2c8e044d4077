// The kept answers in PostgreSQL: one winner per key, expiry, take-over of what died.
#include "support/private_postgres.hpp"

#include <supd/async/io_threads.hpp>
#include <supd/http/idempotency.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <future>

namespace supd::http {
namespace {

using State = IdempotencyOutcome::State;

constexpr db::Statement kAge = {"test_age",
                                "update idempotency_keys set created_at = created_at - $1::interval"};
constexpr db::Statement kCount = {"test_count", "select count(*) from idempotency_keys"};

class IdempotencyTest : public ::testing::Test {
protected:
    IdempotencyTest() { io_.start(); }
    ~IdempotencyTest() override { io_.join(); }

    static db::DatabaseOptions options() {
        db::DatabaseOptions out;
        out.url = support::migrated_database();
        out.connections = 4;
        return out;
    }
    IdempotencyClaim claim(std::string key, std::string body = "body") const {
        IdempotencyClaim out;
        out.user = user_;
        out.key = std::move(key);
        out.route = "route";
        out.body = std::move(body);
        return out;
    }
    template <class T>
    std::future<T> spawn(asio::awaitable<T> task, std::size_t thread = 0) {
        return asio::co_spawn(io_.context(thread), std::move(task), asio::use_future);
    }
    State begin(IdempotencyClaim what) { return spawn(store_.begin(std::move(what))).get().state; }
    void age(const std::string& by) {
        spawn(database_.transact([by](db::Transaction& tx) { tx.exec(kAge, by); })).get();
    }

    async::IoThreads io_{2};
    db::Database database_{options()};
    PostgresIdempotencyStore store_{database_};
    base::UserId user_ = base::UserId::make();
};

TEST_F(IdempotencyTest, FirstAnswerIsKept) {
    EXPECT_EQ(begin(claim("k")), State::fresh);
    EXPECT_EQ(begin(claim("k")), State::in_flight);
    EXPECT_EQ(begin(claim("k", "other")), State::mismatch);
    spawn(store_.finish(user_, "k", Reply::json(std::string("{\"a\":\"\u00e4\"}"), 201))).get();
    const auto again = spawn(store_.begin(claim("k"))).get();
    EXPECT_EQ(again.state, State::replay);
    EXPECT_EQ(again.answer.status, 201);
    EXPECT_EQ(again.answer.body, "{\"a\":\"\u00e4\"}");
    EXPECT_EQ(again.answer.content_type, "application/json");
    EXPECT_EQ(begin(claim("k", "other")), State::mismatch);
    auto elsewhere = claim("k");
    elsewhere.route = "another";
    EXPECT_EQ(begin(std::move(elsewhere)), State::mismatch);
    auto stranger = claim("k");
    stranger.user = base::UserId::make();
    EXPECT_EQ(begin(std::move(stranger)), State::fresh);
}

TEST_F(IdempotencyTest, AnUnkeptAnswerLeavesTheKeyToItsRequest) {
    EXPECT_EQ(begin(claim("k")), State::fresh);
    spawn(store_.finish_unkept(user_, "k")).get();
    EXPECT_EQ(begin(claim("k", "other")), State::mismatch);
    auto elsewhere = claim("k");
    elsewhere.route = "another";
    EXPECT_EQ(begin(std::move(elsewhere)), State::mismatch);
    EXPECT_EQ(begin(claim("k")), State::fresh) << "runs again";
    EXPECT_EQ(begin(claim("k")), State::in_flight) << "but once at a time";
    EXPECT_EQ(begin(claim("k", "other")), State::mismatch);
    spawn(store_.finish(user_, "k", Reply::json(std::string("1")))).get();
    EXPECT_EQ(begin(claim("k")), State::replay);
    spawn(store_.finish_unkept(user_, "k")).get();
    EXPECT_EQ(begin(claim("k")), State::replay) << "what is kept stays";
}

TEST_F(IdempotencyTest, DeadKeysAreFree) {
    EXPECT_EQ(begin(claim("k")), State::fresh);
    age("61 s");
    EXPECT_EQ(begin(claim("k", "third")), State::fresh) << "the first request died";
    spawn(store_.finish(user_, "k", Reply::json(std::string("1")))).get();
    age("23 h");
    EXPECT_EQ(begin(claim("k", "third")), State::replay);
    age("61 m");
    EXPECT_EQ(begin(claim("k", "fourth")), State::fresh) << "older than a day";
}

TEST_F(IdempotencyTest, OneOfManyWins) {
    std::vector<std::future<IdempotencyOutcome>> all;
    for (int i = 0; i < 50; ++i)
        all.push_back(spawn(store_.begin(claim("k")), static_cast<std::size_t>(i % 2)));
    int fresh = 0, in_flight = 0;
    for (auto& one : all) {
        const auto state = one.get().state;
        fresh += state == State::fresh;
        in_flight += state == State::in_flight;
    }
    EXPECT_EQ(fresh, 1);
    EXPECT_EQ(in_flight, 49);
    const auto rows = spawn(database_.transact([](db::Transaction& tx) {
                          return tx.exec(kCount).front().integer(0);
                      })).get();
    EXPECT_EQ(rows, 1);
}

}  // namespace
}  // namespace supd::http
