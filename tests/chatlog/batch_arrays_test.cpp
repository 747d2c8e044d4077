// The two append functions for batches against a PostgreSQL of the test's own: same seqs, and nothing kept
// where the short one does not apply.
#include "append_rig.hpp"

namespace supd::chatlog {
namespace {

class BatchArraysTest : public AppendRig {
protected:
    void fill(const std::vector<Draft>& drafts) { arrays_.fill(pointers_to(drafts)); }
    std::optional<std::vector<Receipt>> fresh() {
        const auto result = run(connection_.exec(store::kAppendFresh, arrays_.fresh()));
        if (result.state != db::AsyncResult::State::ok) return std::nullopt;
        return arrays_.read_fresh(result);
    }
    std::vector<Receipt> judged() {
        return arrays_.read_judged(run(connection_.exec(store::kAppendMessages, arrays_.judged()))).value();
    }

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

TEST_F(BatchArraysTest, KeepsWhatPlainMessagesMayCarry) {
    const auto rich = rich_draft();
    fill({rich});
    ASSERT_TRUE(fresh());
    expect_rich(rich);
}

}  // namespace
}  // namespace supd::chatlog
