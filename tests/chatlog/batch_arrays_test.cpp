// The two append functions against a PostgreSQL of the test's own: same seqs, and nothing kept where the
// short one does not apply.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chatlog/batch_arrays.hpp>
#include <chatlog/store.hpp>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <support/private_postgres.hpp>

#include <memory>

namespace supd::chatlog {
namespace {

class BatchArraysTest : public testing::Test {
protected:
    BatchArraysTest()
        : url_(support::migrated_database()),
          link_(PQconnectdb(url_.c_str()), PQfinish),
          connection_(context_, url_, std::chrono::seconds(5), "test") {
        for (const auto& user : {anna_, ben_, eve_}) {
            const auto name = user.text();
            sql("insert into users (id, username, username_key, username_skeleton, display_name) values ('" +
                name + "', '" + name + "', '" + name + "', '" + name + "', 'x')");
        }
        for (const auto& chat : {first_, second_}) {
            sql("insert into chats (id, type, title, created_by) values ('" + chat.text() +
                "', 'group', 't', '" + anna_.text() + "')");
            sql("insert into chat_heads (chat_id, last_seq) values ('" + chat.text() + "', 10)");
            for (const auto& user : {anna_, ben_})
                sql("insert into chat_members (chat_id, user_id, from_seq) values ('" + chat.text() + "', '" +
                    user.text() + "', 1)");
        }
        EXPECT_TRUE(run(connection_.open()));
    }

    std::string sql(const std::string& text) {
        const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(link_.get(), text.c_str()),
                                                                    PQclear);
        const auto status = PQresultStatus(result.get());
        EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            << PQresultErrorMessage(result.get());
        return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
    }

    template <class T>
    T run(boost::asio::awaitable<T> work) {
        auto result = boost::asio::co_spawn(context_, std::move(work), boost::asio::use_future);
        context_.restart();
        context_.run();
        return result.get();
    }

    Draft draft(ChatId chat, UserId sender) {
        Draft out;
        out.id = MessageId::make();
        out.chat = chat;
        out.sender = sender;
        out.sender_device = DeviceId::make();
        out.type = "text";
        out.text = "hello";
        out.digest.fill(7);
        return out;
    }

    void fill(const std::vector<Draft>& drafts) {
        std::vector<const Draft*> pointers;
        for (const auto& each : drafts)
            pointers.push_back(&each);
        arrays_.fill(pointers);
    }
    std::optional<std::vector<Receipt>> fresh() {
        const auto result = run(connection_.exec(store::kAppendFresh, arrays_.fresh()));
        if (result.state != db::AsyncResult::State::ok) return std::nullopt;
        return arrays_.read_fresh(result);
    }
    std::vector<Receipt> judged() {
        return arrays_.read_judged(run(connection_.exec(store::kAppendMessages, arrays_.judged()))).value();
    }
    std::int64_t stored() { return std::stoll(sql("select count(*) from messages")); }
    std::int64_t head(ChatId chat) {
        return std::stoll(sql("select last_seq from chat_heads where chat_id = '" + chat.text() + "'"));
    }

    const UserId anna_ = UserId::make(), ben_ = UserId::make(), eve_ = UserId::make();
    const ChatId first_ = ChatId::make(), second_ = ChatId::make();
    boost::asio::io_context context_;
    std::string url_;
    std::unique_ptr<PGconn, void (*)(PGconn*)> link_;
    db::AsyncConnection connection_;
    BatchArrays arrays_;
};

// append_fresh takes a few rows one by one and more of them as a set: both ways, with the same rows first.
class BatchSizeTest : public BatchArraysTest, public testing::WithParamInterface<std::size_t> {
protected:
    void fill_padded(std::vector<Draft> drafts) {
        while (drafts.size() < GetParam())
            drafts.push_back(draft(second_, ben_));
        fill(drafts);
    }
};

TEST_P(BatchSizeTest, NumbersTheRowsOfEachChatInTheOrderOfArrival) {
    fill_padded({draft(first_, anna_), draft(second_, ben_), draft(first_, ben_)});
    ASSERT_TRUE(arrays_.plain());
    const auto receipts = fresh();
    ASSERT_TRUE(receipts);
    ASSERT_EQ(receipts->size(), GetParam());
    EXPECT_EQ((*receipts)[0].seq, 11);
    EXPECT_EQ((*receipts)[1].seq, 11);
    EXPECT_EQ((*receipts)[2].seq, 12);
    for (std::size_t i = 3; i < GetParam(); ++i)
        EXPECT_EQ((*receipts)[i].seq, 12 + static_cast<std::int64_t>(i) - 3);
    for (const auto& receipt : *receipts) {
        EXPECT_EQ(receipt.outcome, Outcome::stored);
        EXPECT_GT(receipt.created_at, 0);
    }
    EXPECT_EQ(head(first_), 12);
    EXPECT_EQ(head(second_), 11 + static_cast<std::int64_t>(GetParam()) - 3);
    EXPECT_EQ(stored(), static_cast<std::int64_t>(GetParam()));
    EXPECT_EQ(
        sql("select count(distinct xid) from (select xid from messages union select xid from chat_heads "
            "where last_seq > 10) x"),
        "1");
    EXPECT_EQ(sql("select count(*) from chat_heads where last_message_seq = last_seq and last_message_at = "
                  "(select max(created_at) from messages)"),
              "2");
}

TEST_P(BatchSizeTest, OneSenderWhoMayNotLeavesTheBatchToBeJudged) {
    fill_padded({draft(first_, anna_), draft(first_, eve_), draft(first_, ben_)});
    EXPECT_FALSE(fresh());
    EXPECT_EQ(stored(), 0);
    EXPECT_EQ(head(first_), 10);
    const auto receipts = judged();
    EXPECT_EQ(receipts[0].outcome, Outcome::stored);
    EXPECT_EQ(receipts[0].seq, 11);
    EXPECT_EQ(receipts[1].outcome, Outcome::not_found);
    EXPECT_EQ(receipts[2].outcome, Outcome::stored);
    EXPECT_EQ(receipts[2].seq, 12);
}

TEST_P(BatchSizeTest, AKnownIdKeepsNothingAndIsThenAnsweredAsBefore) {
    const auto known = draft(first_, anna_);
    fill({known});
    const auto before = fresh();
    ASSERT_TRUE(before);
    fill_padded({draft(first_, ben_), known});
    EXPECT_FALSE(fresh());
    EXPECT_EQ(stored(), 1);
    EXPECT_EQ(head(first_), 11);
    EXPECT_EQ(head(second_), 10);
    const auto receipts = judged();
    EXPECT_EQ(receipts[0].outcome, Outcome::stored);
    EXPECT_EQ(receipts[0].seq, 12);
    EXPECT_EQ(receipts[1].outcome, Outcome::repeated);
    EXPECT_EQ(receipts[1].seq, (*before)[0].seq);
    EXPECT_EQ(receipts[1].created_at, (*before)[0].created_at);
}

INSTANTIATE_TEST_SUITE_P(Rows, BatchSizeTest, testing::Values(3, 4, 20));

TEST_F(BatchArraysTest, AClosedChatAndAChannelTakeNothing) {
    sql("update chats set status = 'closed' where id = '" + first_.text() + "'");
    sql("update chats set type = 'channel' where id = '" + second_.text() + "'");
    fill({draft(first_, anna_)});
    EXPECT_FALSE(fresh());
    EXPECT_EQ(judged()[0].outcome, Outcome::forbidden);
    fill({draft(second_, ben_)});
    EXPECT_FALSE(fresh());
    EXPECT_EQ(judged()[0].outcome, Outcome::forbidden);
}

TEST_F(BatchArraysTest, AReplyIsNotPlain) {
    auto reply = draft(first_, anna_);
    reply.reply_to = MessageId::make();
    fill({reply});
    EXPECT_FALSE(arrays_.plain());
    EXPECT_EQ(judged()[0].outcome, Outcome::bad_reply);
}

TEST_F(BatchArraysTest, KeepsWhatPlainMessagesMayCarry) {
    auto rich = draft(first_, anna_);
    rich.extra = R"({"metadata":{"a":1}})";
    rich.expires_in_s = 60;
    rich.text = "quote \" backslash \\ brace } comma , ü";
    fill({rich});
    ASSERT_TRUE(fresh());
    EXPECT_EQ(sql("select text from messages"), *rich.text);
    EXPECT_EQ(sql("select extra->'metadata'->>'a' from messages"), "1");
    EXPECT_EQ(sql("select extract(epoch from expires_at - created_at)::int from messages"), "60");
}

}  // namespace
}  // namespace supd::chatlog
