// A batch takes the cheapest way that applies, and comes out the same by each: a message alone, with others,
// repeated, refused.
#include "append_rig.hpp"

#include <future>
#include <thread>

namespace supd::chatlog {
namespace {

class AppenderTest : public AppendRig {
protected:
    std::vector<Receipt> append(const std::vector<Draft>& drafts, bool again = false) {
        const auto pointers = pointers_to(drafts);
        auto result = run(appender_.append(pointers, again));
        EXPECT_FALSE(result.lost);
        return result.receipts.value_or(std::vector<Receipt>{});
    }
    Receipt alone(const Draft& draft, bool again = false) { return append({draft}, again).at(0); }

    std::int64_t executions(const char* statement) {
        const std::string text =
            "select coalesce(sum(generic_plans + custom_plans), 0)::bigint from "
            "pg_prepared_statements where name = '" +
            std::string(statement) + "'";
        const std::string name = "count_" + std::string(statement);
        return run(connection_.exec({name.c_str(), text.c_str()}, {})).at(0, 0);
    }

    Appender appender_{connection_};
};

TEST_F(AppenderTest, AMessageAloneHasItsOwnWay) {
    const auto message = draft(first_, anna_);
    const auto receipt = alone(message);
    EXPECT_EQ(receipt.outcome, Outcome::stored);
    EXPECT_EQ(receipt.seq, 11);
    EXPECT_EQ(
        sql("select (extract(epoch from created_at) * 1000)::bigint from messages where id = '" +
            message.id.text() + "' and chat_id = '" + first_.text() + "' and seq = 11 and sender_id = '" +
            anna_.text() + "' and sender_device_id = '" + message.sender_device.text() +
            "' and type = 'text' and text = 'hello' and extra is null and expires_at is null and digest = "
            "decode(repeat('07', 16), 'hex')"),
        std::to_string(receipt.created_at));
    EXPECT_EQ(sql("select count(*) from chat_heads h join messages m on m.chat_id = h.chat_id where "
                  "h.last_seq = 11 and "
                  "h.last_message_seq = 11 and h.last_message_at = m.created_at and h.xid = m.xid"),
              "1");
    EXPECT_EQ(executions("log_append_one"), 1);
    EXPECT_EQ(executions("log_append_fresh"), 0);
    EXPECT_EQ(executions("log_append_messages"), 0);
    EXPECT_EQ(append({draft(first_, ben_), draft(first_, anna_)}).at(1).seq, 13);
    EXPECT_EQ(executions("log_append_fresh"), 1);
    EXPECT_EQ(alone(draft(first_, anna_)).seq, 14);
}

TEST_F(AppenderTest, AMessageAloneKeepsWhatItMayCarry) {
    const auto rich = rich_draft();
    EXPECT_EQ(alone(rich).outcome, Outcome::stored);
    expect_rich(rich);
    auto bare = draft(first_, anna_);
    bare.text.reset();
    auto empty = draft(first_, anna_);
    empty.text = "";
    alone(bare);
    alone(empty);
    EXPECT_EQ(sql("select string_agg(coalesce('<' || text || '>', 'null'), ' ' order by seq) from messages "
                  "where seq > 11"),
              "null <>");
}

TEST_F(AppenderTest, ARepeatIsAnsweredAsBefore) {
    const auto message = draft(first_, anna_);
    const auto before = alone(message);
    auto other = message;
    other.digest.fill(8);
    for (const bool again : {false, true}) {
        const auto repeat = alone(message, again);
        EXPECT_EQ(repeat.outcome, Outcome::repeated);
        EXPECT_EQ(repeat.seq, before.seq);
        EXPECT_EQ(repeat.created_at, before.created_at);
        EXPECT_EQ(alone(other, again).outcome, Outcome::id_reused);
    }
    EXPECT_EQ(stored(), 1);
    EXPECT_EQ(head(first_), 11);
}

TEST_F(AppenderTest, WhatMayBeThereAlreadyIsJudgedAtOnce) {
    EXPECT_EQ(alone(draft(first_, anna_), true).seq, 11);
    EXPECT_EQ(executions("log_append_one"), 0);
    EXPECT_EQ(executions("log_append_messages"), 1);
}

TEST_F(AppenderTest, AReplyIsJudgedAtOnce) {
    const auto message = draft(first_, anna_);
    alone(message);
    auto reply = draft(first_, ben_);
    reply.reply_to = message.id;
    EXPECT_EQ(alone(reply).outcome, Outcome::stored);
    auto astray = draft(first_, ben_);
    astray.reply_to = MessageId::make();
    EXPECT_EQ(alone(astray).outcome, Outcome::bad_reply);
    EXPECT_EQ(executions("log_append_one"), 1);
    EXPECT_EQ(head(first_), 12);
}

// Whoever changes a chat has its lock: what was sent meanwhile sees the change.
class RaceTest : public AppenderTest, public testing::WithParamInterface<std::pair<const char*, Outcome>> {};

TEST_P(RaceTest, SeesWhatWasChangedWhileItWaited) {
    const auto& [change, expected] = GetParam();
    sql("begin");
    sql("select pg_advisory_xact_lock(" + std::to_string(lock_key(first_)) + ")");
    std::vector<Draft> drafts{draft(first_, anna_)};
    auto receipts = std::async(std::launch::async, [&] { return append(drafts); });
    while (sql("select count(*) from pg_locks where locktype = 'advisory' and not granted and database = "
               "(select oid from "
               "pg_database where datname = current_database())") == "0")
        std::this_thread::yield();
    sql(change);
    sql("commit");
    EXPECT_EQ(receipts.get().at(0).outcome, expected);
    EXPECT_EQ(head(first_), expected == Outcome::stored ? 11 : 10);
}

INSTANTIATE_TEST_SUITE_P(Changes, RaceTest,
                         testing::Values(std::pair("update chats set title = 'u'", Outcome::stored),
                                         std::pair("update chats set status = 'closed'", Outcome::forbidden),
                                         std::pair("update chats set status = 'deleted'", Outcome::not_found),
                                         std::pair("update chat_members set state = 2", Outcome::not_found)));

// Who may send, asked of each of the three functions: alone, of a few, of many.
class SenderTest : public AppenderTest, public testing::WithParamInterface<std::size_t> {
protected:
    // The last of the batch is the one in question; the others may.
    Outcome outcome(ChatId chat, UserId sender) {
        std::vector<Draft> drafts;
        while (drafts.size() + 1 < GetParam())
            drafts.push_back(draft(second_, ben_));
        drafts.push_back(draft(chat, sender));
        const auto before = head(chat);
        const auto receipts = append(drafts);
        for (std::size_t i = 0; i + 1 < receipts.size(); ++i)
            EXPECT_EQ(receipts[i].outcome, Outcome::stored);
        const auto out = receipts.back().outcome;
        EXPECT_EQ(head(chat), before + (out == Outcome::stored ? 1 : 0));
        return out;
    }
    void status(const char* value) {
        sql("update chats set status = '" + std::string(value) + "' where id = '" + first_.text() + "'");
    }
    void member(UserId user, const char* change) {
        sql("update chat_members set " + std::string(change) + " where chat_id = '" + first_.text() +
            "' and user_id = '" + user.text() + "'");
    }
};

TEST_P(SenderTest, IsAMemberNow) {
    EXPECT_EQ(outcome(first_, eve_), Outcome::not_found);
    EXPECT_EQ(outcome(first_, anna_), Outcome::stored);
    member(anna_, "state = 1");
    EXPECT_EQ(outcome(first_, anna_), Outcome::not_found);
    member(anna_, "state = 2");
    EXPECT_EQ(outcome(first_, anna_), Outcome::not_found);
    member(anna_, "state = 0");
    EXPECT_EQ(outcome(first_, anna_), Outcome::stored);
}

TEST_P(SenderTest, WritesToAnActiveChat) {
    member(anna_, "role = 100");
    for (const char* closed : {"closed", "archived"}) {
        status(closed);
        EXPECT_EQ(outcome(first_, anna_), Outcome::forbidden) << closed;
        status("active");
        EXPECT_EQ(outcome(first_, anna_), Outcome::stored);
    }
    status("deleted");
    EXPECT_EQ(outcome(first_, anna_), Outcome::not_found);
}

TEST_P(SenderTest, LeadsTheChannel) {
    sql("update chats set type = 'channel' where id = '" + first_.text() + "'");
    EXPECT_EQ(outcome(first_, anna_), Outcome::forbidden);
    member(anna_, "role = 50");
    EXPECT_EQ(outcome(first_, anna_), Outcome::stored);
    status("closed");
    EXPECT_EQ(outcome(first_, anna_), Outcome::forbidden);
    status("active");
    EXPECT_EQ(outcome(first_, anna_), Outcome::stored);
    EXPECT_EQ(outcome(first_, ben_), Outcome::forbidden);
}

TEST_P(SenderTest, LeadsAChatBornAChannel) {
    const auto channel = ChatId::make();
    sql("insert into chats (id, type, title, created_by) values ('" + channel.text() +
        "', 'channel', 't', '" + anna_.text() + "')");
    sql("insert into chat_heads (chat_id) values ('" + channel.text() + "')");
    for (const auto& [user, role] : {std::pair(anna_, "100"), std::pair(ben_, "0")})
        sql("insert into chat_members (chat_id, user_id, from_seq, role) values ('" + channel.text() +
            "', '" + user.text() + "', 1, " + role + ")");
    EXPECT_EQ(outcome(channel, anna_), Outcome::stored);
    EXPECT_EQ(outcome(channel, ben_), Outcome::forbidden);
}

INSTANTIATE_TEST_SUITE_P(Rows, SenderTest, testing::Values(1, 2, 3, 4, 20));

}  // namespace
}  // namespace supd::chatlog
