// The plans inside the append functions, asked of auto_explain with empty, small and large tables: every
// table is reached by an index, whatever the statistics say, or a chat's millionth message would cost more
// than its first.
#include <supd/db/async_connection.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <support/private_postgres.hpp>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace supd::chatlog {
namespace {

using testing::HasSubstr;
using testing::Not;

using Link = std::unique_ptr<PGconn, void (*)(PGconn*)>;

// A session of its own, because plpgsql keeps the plans of its first calls; with the writer's options.
Link connect(const std::string& url) {
    const char* const names[] = {"dbname", "options", nullptr};
    const char* const values[] = {url.c_str(), db::kFixedPlans, nullptr};
    Link link(PQconnectdbParams(names, values, 1), PQfinish);
    EXPECT_EQ(PQstatus(link.get()), CONNECTION_OK) << PQerrorMessage(link.get());
    return link;
}

std::string sql(const Link& link, const std::string& text) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(link.get(), text.c_str()), PQclear);
    const auto status = PQresultStatus(result.get());
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        << PQresultErrorMessage(result.get());
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

// `chats` groups of two members each, `messages` in each of them.
void fill(const Link& link, int chats, int messages) {
    std::ostringstream text;
    text << "insert into users (id, username, username_key, username_skeleton, display_name) "
            "select ('00000000-0000-4000-8000-' || lpad(u::text, 12, '0'))::uuid, u::text, u::text, u::text, "
            "'x' "
            "from generate_series(1, 2) u;"
            "insert into chats (id, type, title, created_by) "
            "select md5('chat' || c)::uuid, 'group', 't', '00000000-0000-4000-8000-000000000001' "
            "from generate_series(1, "
         << chats << ") c; insert into chat_heads (chat_id, last_seq) select id, " << messages
         << " from chats; insert into chat_members (chat_id, user_id, from_seq) select c.id, u.id, 1 "
            "from chats c, users u;"
            "insert into messages (chat_id, seq, id, sender_id, sender_device_id, type, text, digest, "
            "created_at, "
            "xid) select c.id, s, gen_random_uuid(), '00000000-0000-4000-8000-000000000001', "
            "gen_random_uuid(), "
            "'text', 'hello', '\\x00', now(), pg_current_xact_id() from chats c, generate_series(1, "
         << messages << ") s";
    sql(link, text.str());
}

// Array literals for `rows` messages, all to different chats.
struct Call {
    std::ostringstream chats, places, ids, senders, devices, words, nulls, digests;
    explicit Call(int rows) {
        for (int i = 1; i <= rows; ++i) {
            const char* comma = i > 1 ? "," : "";
            chats << comma << "md5('chat" << i << "')::uuid";
            places << comma << i;
            ids << comma << "gen_random_uuid()";
            senders << comma << "'00000000-0000-4000-8000-000000000002'";
            devices << comma << "gen_random_uuid()";
            words << comma << "'text'";
            nulls << comma << "null";
            digests << comma << "'\\x01'";
        }
    }
    std::string ones(int rows) const {
        std::string out;
        for (int i = 0; i < rows; ++i)
            out += i > 0 ? ",1" : "1";
        return out;
    }
};

std::string append_fresh(int rows) {
    const Call c(rows);
    return "select r_base from append_fresh(array[1]::bigint[], array[" + c.chats.str() + "], array[" +
           c.ones(rows) + "], array[" + c.places.str() + "], array[" + c.ones(rows) + "], array[" +
           c.chats.str() + "], array[" + c.ids.str() + "], array[" + c.senders.str() + "]::uuid[], array[" +
           c.devices.str() + "], array[" + c.words.str() + "], array[" + c.words.str() + "], array[" +
           c.nulls.str() + "]::text[], array[" + c.digests.str() + "]::bytea[], array[" + c.nulls.str() +
           "]::int[])";
}

std::string append_one() {
    const Call c(1);
    return "select r_seq from append_one(1, " + c.chats.str() + ", " + c.ids.str() + ", " + c.senders.str() +
           ", " + c.devices.str() + ", 'text', 'text', null, '\\x01', null)";
}

std::string append_messages(int rows) {
    const Call c(rows);
    return "select r_outcome from append_messages(array[1]::bigint[], array[" + c.chats.str() + "], array[" +
           c.ids.str() + "], array[" + c.senders.str() + "]::uuid[], array[" + c.devices.str() + "], array[" +
           c.words.str() + "], array[" + c.words.str() + "], array[" + c.nulls.str() + "]::uuid[], array[" +
           c.nulls.str() + "]::text[], array[" + c.digests.str() + "]::bytea[], array[" + c.nulls.str() +
           "]::int[])";
}

std::string plans_of(const Link& link, const std::string& call) {
    std::string plans;
    PQsetNoticeReceiver(
        link.get(),
        [](void* out, const PGresult* notice) {
            *static_cast<std::string*>(out) += PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
        },
        &plans);
    EXPECT_NE(sql(link, call), "");
    PQsetNoticeReceiver(link.get(), [](void*, const PGresult*) {}, nullptr);
    return plans;
}

class AppendPlanTest : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(AppendPlanTest, EveryTableIsReachedByAnIndex) {
    const auto url = support::migrated_database();
    const auto [chats, messages] = GetParam();
    {
        const auto link = connect(url);
        fill(link, chats, messages);
        if (messages > 0) sql(link, "analyze");
    }
    std::vector<std::string> calls{append_one()};
    for (const int rows : {1, std::min(chats, 3), std::min(chats, 4), std::min(chats, 50)}) {
        calls.push_back(append_fresh(rows));
        calls.push_back(append_messages(rows));
    }
    for (const auto& call : calls) {
        const auto link = connect(url);
        sql(link,
            "load 'auto_explain'; set auto_explain.log_min_duration = 0; set "
            "auto_explain.log_nested_statements "
            "= on; set client_min_messages = log");
        std::string plans;
        for (int again = 0; again < 7; ++again)  // past plpgsql's choice of a generic plan
            plans += plans_of(link, call);
        EXPECT_THAT(plans, HasSubstr("chat_members_pkey"));
        EXPECT_THAT(plans, HasSubstr("chat_heads_pkey"));
        for (const char* table : {"messages", "chat_members", "chat_heads", "chats"})
            EXPECT_THAT(plans, Not(HasSubstr(std::string("Seq Scan on ") + table)));
    }
}

INSTANTIATE_TEST_SUITE_P(Tables, AppendPlanTest,
                         testing::Values(std::pair(1, 0), std::pair(50, 20), std::pair(2000, 60)));

}  // namespace
}  // namespace supd::chatlog
