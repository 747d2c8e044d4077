// The users' own logs in a PostgreSQL of the test's own.
#include <supd/chatlog/reader.hpp>
#include <supd/chatlog/restore.hpp>
#include <supd/chatlog/user_log.hpp>
#include <supd/db/database.hpp>

#include <chatlog/store.hpp>
#include <gtest/gtest.h>
#include <support/private_postgres.hpp>

#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace supd::chatlog {
namespace {

constexpr std::chrono::milliseconds kTimeout{10'000};
constexpr auto kEnd = std::numeric_limits<std::int64_t>::max();
constexpr db::Statement kAddUser{"test_add_user",
                                 "insert into users (id, username, username_key, username_skeleton, "
                                 "display_name) values ($1, $2, $2, $2, $2)"};
constexpr db::Statement kShareUser{"test_share_user", "select from users where id = $1 for share"};
constexpr db::Statement kWrongOrder{
    "test_wrong_order",
    "select count(*) from (select xid, lag(xid) over (order by seq) as before from user_events) e "
    "where xid <= before"};
constexpr db::Statement kLoseOne{"test_lose_one", "delete from user_events where user_id = $1 and seq = 2"};
constexpr db::Statement kDeleteUser{"test_delete_user", "delete from users where id = $1"};
constexpr db::Statement kNoteDeleted{"test_note_deleted",
                                     "insert into deletion_ledger (kind, id) values ('user', $1)"};
constexpr db::Statement kRowsOf{"test_rows_of",
                                "select (select count(*) from user_events where user_id = $1) + "
                                "(select count(*) from user_heads where user_id = $1)"};

class UserLog : public testing::Test {
protected:
    UserLog() : url_(support::migrated_database()), connection_(url_, kTimeout, "test") {}

    template <class F>
    auto run(F fn) {
        return connection_.transact(fn);
    }
    UserId user() {
        const auto id = UserId::make();
        run([&](db::Transaction& tx) { tx.exec(kAddUser, id, "u" + id.text()); });
        return id;
    }
    static ws::ChatEvent append(db::Connection& on, UserId user, const std::string& data = "{}") {
        return on.transact([&](db::Transaction& tx) {
            lock_user_log(tx, user);
            return append_user_event(tx, user, "settings_updated", data);
        });
    }
    std::int64_t count(const db::Statement& statement, UserId user) {
        return run([&](db::Transaction& tx) { return tx.exec(statement, user).front().integer(0); });
    }
    std::uint64_t w() {
        return run([](db::Transaction& tx) { return store::stream_now(tx).w; });
    }
    ws::LogSource::Page entries(UserId user, std::int64_t after, std::int64_t upto, std::size_t limit) {
        return run(
            [&](db::Transaction& tx) { return store::entries(tx, ws::own_log(user), after, upto, limit); });
    }

    std::string url_;
    db::Connection connection_;
};

TEST_F(UserLog, each_user_has_a_log_from_one_on) {
    const auto ann = user(), bob = user();
    EXPECT_EQ(append(connection_, ann).seq, 1);
    const auto event = append(connection_, ann, R"({"a": 1})");
    EXPECT_EQ(event.chat, ws::own_log(ann));
    EXPECT_EQ(event.seq, 2);
    EXPECT_EQ(event.frame->json(), R"({"type":"settings_updated","user_seq":2,"data":{"a": 1}})");
    EXPECT_EQ(append(connection_, bob).seq, 1);
    const auto page = entries(ann, 0, kEnd, 10);
    ASSERT_EQ(page.events.size(), 2U);
    EXPECT_EQ(page.events[1].frame->json(), event.frame->json()) << "read as it was told";
    EXPECT_TRUE(page.events[1].joined.empty() && page.events[1].left.empty());
}

TEST_F(UserLog, entries_come_in_pages) {
    const auto ann = user();
    for (int i = 0; i < 5; ++i)
        append(connection_, ann);
    const auto page = entries(ann, 1, 4, 2);
    ASSERT_EQ(page.events.size(), 2U);
    EXPECT_TRUE(page.more && page.events[0].seq == 2 && page.events[1].seq == 3);
    const auto last = entries(ann, 3, 4, 2);
    ASSERT_EQ(last.events.size(), 1U);
    EXPECT_TRUE(!last.more && last.events[0].seq == 4);
    EXPECT_TRUE(entries(user(), 0, kEnd, 2).events.empty());
}

TEST_F(UserLog, a_cursor_has_missed_what_came_since) {
    const auto ann = user(), bob = user();
    const auto heads = run([&](db::Transaction& tx) { return store::joined_heads(tx, ann); });
    ASSERT_EQ(heads.size(), 1U);
    EXPECT_TRUE(heads[0].chat == ws::own_log(ann) && heads[0].last_seq == 0) << "no entry yet";
    append(connection_, ann);
    const auto since = w();
    const auto missed = [&](UserId user) {
        return run([&](db::Transaction& tx) { return store::missed(tx, user, since); });
    };
    EXPECT_TRUE(missed(ann).empty());
    append(connection_, ann);
    append(connection_, ann);
    ASSERT_EQ(missed(ann).size(), 1U);
    const auto range = missed(ann)[0];
    EXPECT_TRUE(range.chat == ws::own_log(ann) && range.after == 1 && range.upto == 3);
    EXPECT_TRUE(missed(bob).empty());
    const auto moved =
        run([&](db::Transaction& tx) { return store::moved_heads(tx, {}, {ann, bob}, since); });
    ASSERT_EQ(moved.size(), 1U);
    EXPECT_TRUE(moved[0].chat == ws::own_log(ann) && moved[0].last_seq == 3);
    const auto later = w();
    EXPECT_TRUE(
        run([&](db::Transaction& tx) { return store::moved_heads(tx, {}, {ann, bob}, later); }).empty());
}

// A transaction has its id from its first write or row lock on: taken before the lock of the log, ids and
// seqs of two of them could cross, and a cursor between them would pass an entry.
TEST_F(UserLog, who_writes_later_has_the_greater_transaction_id) {
    const auto ann = user();
    constexpr int kThreads = 4, kEach = 50;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
        threads.emplace_back([&] {
            db::Connection own(url_, kTimeout, "test");
            for (int n = 0; n < kEach; ++n)
                own.transact([&](db::Transaction& tx) {
                    lock_user_log(tx, ann);
                    tx.exec(kShareUser, ann);
                    append_user_event(tx, ann, "settings_updated", "{}");
                });
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(run([](db::Transaction& tx) { return tx.exec(kWrongOrder).front().integer(0); }), 0);
    EXPECT_EQ(entries(ann, 0, kEnd, 1000).events.back().seq, kThreads * kEach);
    EXPECT_EQ(run([](db::Transaction& tx) { return find_gap(tx); }), "");
}

TEST_F(UserLog, a_restore_finds_gaps_and_erases_again) {
    const auto ann = user(), bob = user();
    for (int i = 0; i < 3; ++i) {
        append(connection_, ann);
        append(connection_, bob);
    }
    EXPECT_EQ(run([](db::Transaction& tx) { return find_gap(tx); }), "");
    run([&](db::Transaction& tx) { tx.exec(kLoseOne, ann); });
    EXPECT_EQ(run([](db::Transaction& tx) { return find_gap(tx); }),
              "1 users have a log with gaps, one is " + ann.text());
    run([&](db::Transaction& tx) {
        tx.exec(kNoteDeleted, ann);
        erase_again(tx);
    });
    EXPECT_EQ(count(kRowsOf, ann), 0);
    EXPECT_EQ(count(kRowsOf, bob), 4);
    EXPECT_EQ(run([](db::Transaction& tx) { return find_gap(tx); }), "");
}

TEST_F(UserLog, goes_with_its_user) {
    const auto ann = user();
    append(connection_, ann);
    EXPECT_EQ(count(kRowsOf, ann), 2);
    run([&](db::Transaction& tx) { tx.exec(kDeleteUser, ann); });
    EXPECT_EQ(count(kRowsOf, ann), 0);
}

}  // namespace
}  // namespace supd::chatlog
