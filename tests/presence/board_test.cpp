#include <supd/presence/limits.hpp>

#include <gtest/gtest.h>
#include <presence/board.hpp>

namespace supd::presence {
namespace {

class HandClock final : public base::Clock {
public:
    base::Millis now_ms() const noexcept override { return 1'000'000 + passed.count(); }
    base::Monotonic::time_point steady() const noexcept override {
        return base::Monotonic::time_point{} + passed;
    }
    std::chrono::milliseconds passed{0};
};

class BoardTest : public testing::Test {
protected:
    HandClock clock;
    Board board{clock};
    const UserId ann = UserId::make(), bob = UserId::make();
    const SessionId anns = SessionId::make(), bobs = SessionId::make(), bobs_other = SessionId::make();
};

TEST_F(BoardTest, watchers_learn_who_comes_and_goes) {
    EXPECT_FALSE(board.connected(ann, anns).has_value());
    const auto now = board.watch(anns, {bob});
    ASSERT_EQ(now.size(), 1U);
    EXPECT_EQ(now.front().status, Status::offline);
    const auto came = board.connected(bob, bobs);
    ASSERT_TRUE(came.has_value());
    EXPECT_EQ(came->presence.status, Status::online);
    EXPECT_EQ(came->watchers, std::vector{ann});
    EXPECT_FALSE(board.connected(bob, bobs_other).has_value()) << "a second device changes nothing";
    board.disconnected(bob, bobs);
    EXPECT_FALSE(board.next_expiry().has_value());
    board.disconnected(bob, bobs_other);
    EXPECT_TRUE(board.next_expiry().has_value());
    EXPECT_TRUE(board.expire().empty());
    clock.passed += kOfflineDelay;
    const auto went = board.expire();
    ASSERT_EQ(went.size(), 1U);
    EXPECT_EQ(went.front().presence.status, Status::offline);
    EXPECT_GT(went.front().presence.last_seen, 0);
    EXPECT_FALSE(board.next_expiry().has_value());
}

TEST_F(BoardTest, who_comes_back_soon_was_never_away) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(bob, bobs);
    for (int i = 0; i < 5; ++i) {
        board.disconnected(bob, bobs);
        clock.passed += kOfflineDelay / 2;
        EXPECT_TRUE(board.expire().empty());
        EXPECT_FALSE(board.connected(bob, bobs).has_value());
    }
    board.disconnected(bob, bobs);
    clock.passed += kOfflineDelay / 2;
    EXPECT_TRUE(board.expire().empty()) << "the delay counts from the last time";
    clock.passed += kOfflineDelay;
    EXPECT_EQ(board.expire().size(), 1U);
}

TEST_F(BoardTest, who_has_gone_is_known_as_long_as_somebody_watches) {
    board.connected(ann, anns);
    board.connected(bob, bobs);
    board.watch(anns, {bob});
    board.disconnected(bob, bobs);
    clock.passed += kOfflineDelay;
    board.expire();
    EXPECT_GT(board.watch(anns, {bob}).front().last_seen, 0);
    board.watch(anns, {});
    EXPECT_EQ(board.watch(anns, {bob}).front().last_seen, 0) << "nothing is kept for nobody";
}

TEST_F(BoardTest, what_people_say_of_themselves) {
    board.connected(ann, anns);
    board.connected(bob, bobs);
    board.watch(anns, {bob});
    const auto away = board.say(bob, Status::away, "lunch");
    ASSERT_TRUE(away.has_value());
    EXPECT_EQ(away->presence.text, "lunch");
    EXPECT_FALSE(board.say(bob, Status::away, "lunch").has_value()) << "nothing new";
    const auto unseen = board.say(bob, Status::offline, "secret");
    ASSERT_TRUE(unseen.has_value());
    EXPECT_TRUE(unseen->presence.text.empty());
    EXPECT_FALSE(board.say(bob, Status::offline, "other secret").has_value());
    board.disconnected(bob, bobs);
    clock.passed += kOfflineDelay;
    EXPECT_TRUE(board.expire().empty()) << "who was unseen does not go";
}

TEST_F(BoardTest, a_socket_that_is_replaced_leaves_the_session_alone) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(ann, anns);
    board.disconnected(ann, anns);
    EXPECT_EQ(board.watched(), 1U);
    board.disconnected(ann, anns);
    EXPECT_EQ(board.watched(), 0U);
    EXPECT_TRUE(board.watch(anns, {bob}).empty()) << "a session that has gone watches nobody";
}

TEST_F(BoardTest, typing_is_limited) {
    EXPECT_FALSE(board.may_type(anns));
    board.connected(ann, anns);
    int taken = 0;
    for (int i = 0; i < 50; ++i)
        taken += board.may_type(anns);
    EXPECT_EQ(taken, static_cast<int>(kTypingBurst));
    clock.passed += std::chrono::seconds(1);
    taken = 0;
    for (int i = 0; i < 50; ++i)
        taken += board.may_type(anns);
    EXPECT_EQ(taken, static_cast<int>(kTypingPerSecond));
}

}  // namespace
}  // namespace supd::presence
