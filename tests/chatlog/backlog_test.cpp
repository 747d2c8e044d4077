// Who may wait in a lane, and who is refused.
#include <chatlog/backlog.hpp>
#include <gtest/gtest.h>

namespace supd::chatlog {
namespace {

using namespace std::chrono_literals;

class BacklogTest : public testing::Test {
protected:
    std::size_t enter_until_refused() {
        std::size_t taken = 0;
        while (backlog_.enter(100, now_))
            ++taken;
        return taken;
    }

    const Backlog::Time now_ = base::Monotonic::now();
    std::shared_ptr<Pace> pace_ = std::make_shared<Pace>(2);
    Backlog backlog_{pace_};
};

TEST_F(BacklogTest, IsBoundedInRows) {
    EXPECT_EQ(enter_until_refused(), kMaxQueuedRows);
    EXPECT_EQ(backlog_.rows(), kMaxQueuedRows);
    backlog_.leave(kMaxQueuedRows, kMaxQueuedRows * 100);
    EXPECT_EQ(enter_until_refused(), kMaxQueuedRows);
}

TEST_F(BacklogTest, IsBoundedInBytes) {
    EXPECT_TRUE(backlog_.enter(kMaxQueuedBytes, now_));
    EXPECT_FALSE(backlog_.enter(1, now_));
    EXPECT_EQ(backlog_.rows(), 1U);
}

TEST_F(BacklogTest, RefusesWhileTheFirstHasWaitedTooLong) {
    backlog_.note_first(now_ - kLongestWait - 1ms);
    EXPECT_TRUE(backlog_.is_behind(now_));
    EXPECT_FALSE(backlog_.enter(1, now_));
    backlog_.note_first(now_ - kLongestWait);
    EXPECT_TRUE(backlog_.enter(1, now_));
    backlog_.note_first(Backlog::kIdle);
    EXPECT_FALSE(backlog_.is_behind(now_));
}

TEST_F(BacklogTest, RefusesWhoWouldWaitTooLongAtThePaceOfCommits) {
    pace_->note(4s);
    pace_->note(3s);
    pace_->note(4s);
    // One batch is 3 s, two are 6.
    EXPECT_EQ(enter_until_refused(), 2 * kMaxBatchRows);
    pace_->note(1ms);
    EXPECT_TRUE(backlog_.enter(1, now_));
}

TEST_F(BacklogTest, CountsBatchesByTheirBytesToo) {
    for (int i = 0; i < 3; ++i)
        pace_->note(3s);
    EXPECT_TRUE(backlog_.enter(2 * kMaxBatchBytes, now_));
    EXPECT_FALSE(backlog_.enter(1, now_));
}

TEST_F(BacklogTest, TakesABatchAtAnyPace) {
    for (int i = 0; i < 3; ++i)
        pace_->note(60s);
    EXPECT_EQ(enter_until_refused(), kMaxBatchRows);
    backlog_.leave(kMaxBatchRows, kMaxBatchRows * 100);
    EXPECT_EQ(enter_until_refused(), kMaxBatchRows);
}

TEST_F(BacklogTest, OneStandstillOfAllLanesSaysNothing) {
    Backlog other(pace_);
    backlog_.note_commit(1ms);
    other.note_commit(60s);
    backlog_.note_commit(60s);
    EXPECT_EQ(enter_until_refused(), kMaxQueuedRows);
}

TEST_F(BacklogTest, ThePaceIsThatOfAllLanes) {
    Backlog other(pace_);
    for (int i = 0; i < 3; ++i)
        other.note_commit(3s);
    EXPECT_EQ(enter_until_refused(), 2 * kMaxBatchRows);
}

TEST_F(BacklogTest, KeepsUpWithFewWhileCommitsComeSoon) {
    EXPECT_TRUE(backlog_.keeps_up(now_));
    ASSERT_TRUE(backlog_.enter(1, now_));
    EXPECT_TRUE(backlog_.keeps_up(now_ + kSoon - 1ms));
    EXPECT_FALSE(backlog_.keeps_up(now_ + kSoon));
    backlog_.mark_idle();
    EXPECT_TRUE(backlog_.keeps_up(now_ + kSoon));
    for (std::size_t i = 1; i < kFewRows; ++i)
        ASSERT_TRUE(backlog_.enter(1, now_));
    EXPECT_FALSE(backlog_.keeps_up(now_));
}

}  // namespace
}  // namespace supd::chatlog
