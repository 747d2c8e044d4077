#include "support/private_postgres.hpp"

#include <supd/db/database.hpp>
#include <supd/db/migrator.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace supd::db {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<MigrationFile> files_of(const std::vector<std::pair<std::string, std::string>>& ups) {
    std::vector<MigrationFile> files;
    for (const auto& [name, sql] : ups) {
        files.push_back({name + ".up.sql", sql});
        files.push_back({name + ".down.sql", "drop table if exists t" + name.substr(0, 4) + ";\n"});
    }
    return files;
}

std::vector<Migration> two() {
    return parse_migrations(files_of({{"0001_one", "-- compat: 1\ncreate table t0001 (n int);\n"},
                                      {"0002_two", "-- compat: 1\ncreate table t0002 (n int);\n"}}));
}

std::vector<Migration> three(const std::string& third) {
    auto migrations = two();
    const auto more = parse_migrations(
        files_of({{"0001_x", "-- compat: 1\n"}, {"0002_x", "-- compat: 1\n"}, {"0003_three", third}}));
    migrations.push_back(more.back());
    return migrations;
}

std::string fault_of(const std::vector<MigrationFile>& files) {
    try {
        parse_migrations(files);
    } catch (const MigrationFileError& error) {
        return error.what();
    }
    return "no fault";
}

template <class Body>
std::string error_of(Body body) {
    try {
        body();
    } catch (const MigrationError& error) {
        return error.what();
    }
    return "no error";
}

std::string ask(const std::string& url, const char* sql) {
    Connection connection(url, std::chrono::seconds(5), "test");
    return connection.transact([&](Transaction& tx) { return tx.exec(Statement{sql, sql}).front().text(0); });
}

std::string fresh() {
    return support::PrivatePostgres::instance().fresh_database();
}

TEST(MigrationFiles, NamesEveryFault) {
    const std::string head = "-- compat: 1\n";
    EXPECT_THAT(fault_of({{"0001_a.up.sql", head}, {"0001_a.down.sql", ""}, {"0001_b.up.sql", head}}),
                HasSubstr("0001_b.up.sql: the number is taken by a"));
    EXPECT_THAT(fault_of(files_of({{"0001_a", head}, {"0003_c", head}})),
                HasSubstr("migration 2 is missing before 3"));
    EXPECT_THAT(fault_of(files_of({{"0002_a", head}})), HasSubstr("migration 1 is missing before 2"));
    EXPECT_THAT(fault_of({{"0001_a.up.sql", head}}), HasSubstr("no .down.sql"));
    EXPECT_THAT(fault_of({{"0001_a.up.sql", head}, {"0001_b.down.sql", ""}}), HasSubstr("different names"));
    EXPECT_THAT(fault_of(files_of({{"0001_a", "select 1;"}})), HasSubstr("no line -- compat: N"));
    EXPECT_THAT(fault_of(files_of({{"0001_a", "-- compat: x\n"}})), HasSubstr("is not -- compat: N"));
    EXPECT_THAT(fault_of(files_of({{"0001_a", "-- compat: 2\n"}})), HasSubstr("above its own number"));
    for (const char* name : {"1_a.up.sql", "0001-a.up.sql", "0001_A.up.sql", "0000_a.up.sql", "0001_a.sql"}) {
        EXPECT_THAT(fault_of({{name, head}}), HasSubstr("not named")) << name;
    }
}

TEST(MigrationFiles, TheEmbeddedOnesAreSound) {
    const auto migrations = embedded_migrations();
    ASSERT_FALSE(migrations.empty());
    EXPECT_THAT(migrations.front().up, HasSubstr("stream_state"));
}

TEST(MigratorTest, EmbeddedGoUpDownAndUpAgain) {
    const auto url = fresh();
    Migrator migrator(url, embedded_migrations());
    const auto count = migrator.up().size();
    EXPECT_EQ(count, embedded_migrations().size());
    EXPECT_THAT(migrator.up(), IsEmpty());
    migrator.check_compatible();
    EXPECT_EQ(migrator.down(0).size(), count);
    EXPECT_EQ(ask(url,
                  "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace "
                  "where nspname = 'public' and relname not like 'schema_migrations%'"),
              "0")
        << "down leaves nothing behind";
    EXPECT_EQ(ask(url,
                  "select count(*) from pg_proc p join pg_namespace n on n.oid = pronamespace "
                  "where nspname = 'public'"),
              "0");
    EXPECT_EQ(migrator.up().size(), count);
}

// What a chat asks of a sender was read from the chat before 0015: those that are there keep their rule, up
// and down.
TEST(MigratorTest, ChatsKeepWhoMaySend) {
    const auto url = fresh();
    auto before = embedded_migrations();
    before.erase(before.begin() + 14, before.end());
    Migrator(url, before).up();
    Connection connection(url, std::chrono::seconds(5), "test");
    const auto run = [&](const char* sql) {
        connection.transact([&](Transaction& tx) { tx.exec(Statement{sql, sql}); });
    };
    run("insert into users (id, username, username_key, username_skeleton, display_name) values "
        "('00000000-0000-4000-8000-000000000001', 'a', 'a', 'a', 'a')");
    run("insert into chats (id, type, title, status, created_by) select gen_random_uuid(), t, t || s, s, "
        "'00000000-0000-4000-8000-000000000001' from unnest(array['group', 'channel']) t, "
        "unnest(array['active', 'archived', 'closed', 'deleted']) s");
    run("insert into chat_heads (chat_id) select id from chats");
    Migrator after(url, embedded_migrations());
    after.up();
    EXPECT_EQ(
        ask(url,
            "select string_agg(c.title || ' ' || h.send_role, ', ' order by h.send_role, c.title) from "
            "chat_heads "
            "h join chats c on c.id = h.chat_id"),
        "groupactive 0, channelactive 50, channelarchived 32767, channelclosed 32767, channeldeleted 32767, "
        "grouparchived 32767, groupclosed 32767, groupdeleted 32767");
    after.down(14);
    EXPECT_EQ(ask(url, "select count(*) from chat_heads"), "8");
    EXPECT_EQ(after.up().size(), embedded_migrations().size() - 14);
}

TEST(MigratorTest, StepsAndStatus) {
    Migrator migrator(fresh(), two());
    EXPECT_EQ(migrator.status().at(0).state, MigrationState::pending);
    EXPECT_THAT(error_of([&] { migrator.check_compatible(); }), HasSubstr("supd migrate up"));
    EXPECT_THAT(migrator.up(1), ElementsAre(1));
    EXPECT_THAT(migrator.up(), ElementsAre(2));
    const auto status = migrator.status();
    EXPECT_EQ(status.at(1).state, MigrationState::applied);
    EXPECT_EQ(status.at(1).applied_at.size(), 24U);
    EXPECT_THAT(migrator.down(), ElementsAre(2));
    EXPECT_THAT(migrator.down(0), ElementsAre(1));
    EXPECT_THAT(migrator.down(), IsEmpty());
}

TEST(MigratorTest, AFailedMigrationLeavesNothing) {
    const auto url = fresh();
    Migrator migrator(url, three("-- compat: 1\ncreate table half (n int);\nselect 1/0;\n"));
    EXPECT_THAT(error_of([&] { migrator.up(); }),
                HasSubstr("migration 3 (three) up: ERROR:  division by zero"));
    EXPECT_EQ(ask(url, "select to_regclass('half') is null and to_regclass('t0002') is not null"), "t");
    EXPECT_EQ(ask(url, "select max(version) from schema_migrations"), "2");
    Migrator good(url, three("-- compat: 1\ncreate table t0003 (n int);\n"));
    EXPECT_THAT(good.up(), ElementsAre(3));

    Migrator commits(fresh(), three("-- compat: 1\ncommit;\n"));
    EXPECT_THAT(error_of([&] { commits.up(); }), HasSubstr("ends the transaction"));
}

TEST(MigratorTest, WithoutTransaction) {
    const auto url = fresh();
    Migrator migrator(
        url,
        three("-- compat: 1\n-- no-transaction\ncreate index concurrently if not exists a\n  on t0001 (n);\n"
              "create index concurrently if not exists b on t0002 (n);\n"));
    EXPECT_THAT(migrator.up(), ElementsAre(1, 2, 3));
    EXPECT_EQ(ask(url,
                  "select count(*) from pg_index where indisvalid and indexrelid in ('a'::regclass, "
                  "'b'::regclass)"),
              "2");
}

TEST(MigratorTest, RefusesChangedAndSkippedFiles) {
    const auto url = fresh();
    Migrator(url, two()).up();
    auto changed = two();
    changed[0].up += " ";
    EXPECT_THAT(error_of([&] { Migrator(url, changed).up(); }), HasSubstr("migration 1 (one) was changed"));
    EXPECT_EQ(Migrator(url, changed).status().at(0).state, MigrationState::changed);
    ask(url, "delete from schema_migrations where version = 1 returning 1");
    EXPECT_THAT(error_of([&] { Migrator(url, two()).up(); }),
                HasSubstr("was not applied although a later one was"));
}

TEST(MigratorTest, AnOlderBinaryStopsAtTheCompatibilityVersion) {
    const auto admitted = fresh();
    Migrator(admitted, three("-- compat: 2\ncreate table t0003 (n int);\n")).up();
    Migrator older(admitted, two());
    EXPECT_THAT(older.up(), IsEmpty());
    older.check_compatible();
    EXPECT_EQ(older.status().at(2).state, MigrationState::newer);
    EXPECT_THAT(error_of([&] { older.down(); }), HasSubstr("unknown to this supd"));

    const auto closed = fresh();
    Migrator(closed, three("-- compat: 3\ncreate table t0003 (n int);\n")).up();
    Migrator refused(closed, two());
    for (const auto& text : {error_of([&] { refused.up(); }), error_of([&] { refused.check_compatible(); }),
                             error_of([&] { refused.down(); })}) {
        EXPECT_THAT(text, HasSubstr("needs a supd that knows version 3 or newer; this one knows up to 2"));
    }
    EXPECT_EQ(ask(closed, "select count(*) from schema_migrations"), "3");
}

TEST(MigratorTest, ManyStartAtOnceAndEachMigrationRunsOnce) {
    const auto url = fresh();
    std::atomic<std::size_t> applied{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 6; ++i) {
            threads.emplace_back([&] { applied += Migrator(url, embedded_migrations()).up().size(); });
        }
    }
    EXPECT_EQ(applied, embedded_migrations().size());
}

TEST(MigratorTest, TriesAgainWhenATableIsBusy) {
    const auto url = fresh();
    Migrator(url, two()).up();
    Connection holder(url, std::chrono::seconds(5), "holder");
    std::vector<std::int64_t> done;
    std::jthread migration;
    holder.transact([&](Transaction& tx) {
        tx.exec(Statement{"lock", "lock table t0001 in access exclusive mode"});
        migration = std::jthread(
            [&] { done = Migrator(url, three("-- compat: 1\nalter table t0001 add column m int;\n")).up(); });
        // Until the migration has given way at least once: its lock request comes and goes.
        const Statement waiting{"waiting", "select count(*) from pg_locks where not granted"};
        while (tx.exec(waiting).front().integer(0) == 0)
            std::this_thread::yield();
        while (tx.exec(waiting).front().integer(0) != 0)
            std::this_thread::yield();
    });
    migration.join();
    EXPECT_THAT(done, ElementsAre(3));
}

TEST(MigratorTest, SaysThatTheDatabaseIsAway) {
    EXPECT_THAT(error_of([] { Migrator("host=/nowhere dbname=x", two()).up(); }),
                HasSubstr("the database: "));
}

}  // namespace
}  // namespace supd::db
