#include <supd/presence/limits.hpp>

#include <gmock/gmock.h>
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

using Recipients = std::vector<ws::Recipient>;

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
    EXPECT_EQ(came->watchers, (Recipients{{ann, anns}}));
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

TEST_F(BoardTest, only_the_sessions_that_asked_are_told) {
    const auto anns_other = SessionId::make(), anns_third = SessionId::make();
    for (const auto& session : {anns, anns_other, anns_third})
        board.connected(ann, session);
    board.connected(bob, bobs);
    board.watch(anns, {bob});
    board.watch(anns_other, {ann});
    const auto one = board.say(bob, Status::away, "one");
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(one->watchers, (Recipients{{ann, anns}}));
    board.watch(anns_other, {bob});
    board.watch(bobs, {bob});
    const auto three = board.say(bob, Status::away, "three");
    ASSERT_TRUE(three.has_value());
    EXPECT_THAT(three->watchers,
                testing::UnorderedElementsAre(ws::Recipient{ann, anns}, ws::Recipient{ann, anns_other},
                                              ws::Recipient{bob, bobs}));
    board.watch(anns, {});
    board.disconnected(bob, bobs);
    const auto left = board.said_elsewhere(bob, 2, {Status::online, "", clock.now_ms() + 5'000});
    ASSERT_TRUE(left.has_value());
    EXPECT_EQ(left->watchers, (Recipients{{ann, anns_other}}));
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

constexpr Board::Node kOther = 2, kThird = 3;

TEST_F(BoardTest, who_is_connected_elsewhere_is_shown_until_they_are_gone) {
    board.connected(ann, anns);
    EXPECT_FALSE(board.said_elsewhere(bob, kOther, {Status::online, ""})) << "nobody watches";
    board.watch(anns, {bob});
    EXPECT_FALSE(board.known(bob));
    const auto came = board.said_elsewhere(bob, kOther, {Status::away, "lunch"});
    ASSERT_TRUE(came);
    EXPECT_EQ(came->presence.status, Status::away);
    EXPECT_EQ(came->presence.text, "lunch");
    EXPECT_EQ(came->watchers, (Recipients{{ann, anns}}));
    EXPECT_FALSE(board.said_elsewhere(bob, kOther, {Status::away, "lunch"})) << "nothing new";
    EXPECT_TRUE(board.known(bob));
    EXPECT_EQ(board.watch(anns, {bob}).front().status, Status::away) << "watched on";
    board.watch(anns, {});
    EXPECT_EQ(board.watch(anns, {bob}).front().status, Status::offline)
        << "watched anew: it must be asked again";
    EXPECT_EQ(board.look({bob}).front().status, Status::offline);
    board.said_elsewhere(bob, kOther, {Status::online, ""});
    board.said_elsewhere(bob, kThird, {Status::online, ""});
    EXPECT_FALSE(board.gone_elsewhere(bob, kOther, 5)) << "still at the third";
    const auto gone = board.gone_elsewhere(bob, kThird, 7);
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->presence.status, Status::offline);
    EXPECT_EQ(gone->presence.last_seen, 7);
}

TEST_F(BoardTest, who_leaves_here_but_not_elsewhere_does_not_go) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(bob, bobs);
    board.said_elsewhere(bob, kOther, {Status::online, ""});
    board.disconnected(bob, bobs);
    clock.passed += kOfflineDelay;
    Board::Left left;
    EXPECT_TRUE(board.expire(&left).empty());
    ASSERT_EQ(left.size(), 1U) << "but this process says so";
    EXPECT_EQ(left.front().first, bob);
    EXPECT_TRUE(board.gone_elsewhere(bob, kOther, 9));
}

TEST_F(BoardTest, who_arrives_adopts_what_they_say_elsewhere_before_anybody_sees_them) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    EXPECT_TRUE(board.arrived(bob, bobs));
    EXPECT_FALSE(board.word_of(bob));
    EXPECT_FALSE(board.read_elsewhere(bob, {{kOther, {Status::offline, "", 5}}})) << "not to be seen";
    EXPECT_FALSE(board.settle(bob)) << "and not by coming here either";
    EXPECT_EQ(board.word_of(bob), (Word{Status::offline, "", 5}));
    EXPECT_FALSE(board.arrived(bob, bobs_other));
    const auto said = board.said_elsewhere(bob, kOther, {Status::online, "back", 6});
    ASSERT_TRUE(said);
    EXPECT_EQ(said->presence.text, "back");
    EXPECT_EQ(board.word_of(bob), (Word{Status::online, "back", 6})) << "the last word counts everywhere";
}

TEST_F(BoardTest, what_they_say_on_arriving_is_newer_than_what_is_known) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.arrived(bob, bobs);
    EXPECT_FALSE(board.say(bob, Status::online, "here"));
    const auto ahead = clock.now_ms() + 5'000;  // the other machine's clock
    board.read_elsewhere(bob, {{kOther, {Status::away, "", ahead}}});
    const auto shown = board.settle(bob);
    ASSERT_TRUE(shown);
    EXPECT_EQ(shown->presence.text, "here");
    EXPECT_EQ(board.word_of(bob), (Word{Status::online, "here", ahead + 1}));
    EXPECT_FALSE(board.read_elsewhere(bob, {{kOther, {Status::away, "", ahead}}}));
}

TEST_F(BoardTest, who_arrives_and_leaves_at_once_is_not_shown) {
    board.arrived(bob, bobs);
    board.disconnected(bob, bobs);
    EXPECT_FALSE(board.settle(bob));
    EXPECT_FALSE(board.word_of(bob));
    clock.passed += kOfflineDelay;
    EXPECT_TRUE(board.expire().empty());
}

TEST_F(BoardTest, nothing_is_kept_of_who_leaves_before_they_are_shown) {
    board.arrived(bob, bobs);
    board.said_elsewhere(bob, kOther, {Status::online, ""});
    EXPECT_TRUE(board.known(bob));
    board.disconnected(bob, bobs);
    clock.passed += kOfflineDelay;
    EXPECT_TRUE(board.expire().empty());
    EXPECT_FALSE(board.known(bob));
}

TEST_F(BoardTest, a_word_must_be_missing_for_a_while_to_be_gone) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    ASSERT_TRUE(board.read_elsewhere(bob, {{kOther, {Status::online, ""}}}));
    EXPECT_FALSE(board.read_elsewhere(bob, {}));
    clock.passed += kReadMissing;
    EXPECT_EQ(board.take_missing(), std::vector{bob});
    EXPECT_FALSE(board.read_elsewhere(bob, {{kOther, {Status::online, ""}}})) << "written again";
    EXPECT_FALSE(board.read_elsewhere(bob, {}));
    EXPECT_FALSE(board.read_elsewhere(bob, {})) << "somebody else has asked meanwhile";
    EXPECT_TRUE(board.take_missing().empty());
    clock.passed += kReadMissing;
    EXPECT_EQ(board.take_missing(), std::vector{bob});
    EXPECT_TRUE(board.take_missing().empty()) << "each once";
    const auto gone = board.read_elsewhere(bob, {});
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->presence.status, Status::offline);
    EXPECT_FALSE(board.known(bob));
}

TEST_F(BoardTest, who_moves_to_another_process_may_change_their_word_there) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(bob, bobs);
    board.disconnected(bob, bobs);
    const auto away = board.said_elsewhere(bob, kOther, {Status::away, "lunch", 5});
    ASSERT_TRUE(away) << "while this process still waits for them to come back";
    EXPECT_EQ(away->presence.status, Status::away);
    clock.passed += kOfflineDelay;
    EXPECT_TRUE(board.expire().empty()) << "already told";
    EXPECT_EQ(board.look({bob}).front().text, "lunch");
    const auto gone = board.gone_elsewhere(bob, kOther, 9);
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->presence.status, Status::offline);
}

TEST_F(BoardTest, who_moves_and_is_not_to_be_seen_goes_once) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(bob, bobs);
    board.disconnected(bob, bobs);
    const auto hidden = board.said_elsewhere(bob, kOther, {Status::offline, "", 5});
    ASSERT_TRUE(hidden);
    EXPECT_EQ(hidden->presence.status, Status::offline);
    clock.passed += kOfflineDelay;
    EXPECT_TRUE(board.expire().empty());
    EXPECT_FALSE(board.gone_elsewhere(bob, kOther, 9));
}

TEST_F(BoardTest, a_default_does_not_override_what_was_said) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(bob, bobs);
    board.say(bob, Status::offline, "");
    EXPECT_FALSE(board.said_elsewhere(bob, kOther, {Status::online, ""}))
        << "came there while Redis was away";
    EXPECT_EQ(board.word_of(bob)->status, Status::offline);
    EXPECT_FALSE(board.read_elsewhere(bob, {{kOther, {Status::online, ""}}}));
    EXPECT_EQ(board.look({bob}).front().status, Status::offline);
    board.disconnected(bob, bobs);
    clock.passed += kOfflineDelay;
    EXPECT_TRUE(board.expire().empty()) << "the other process has adopted it meanwhile";
    EXPECT_EQ(board.look({bob}).front().status, Status::offline);
}

TEST_F(BoardTest, who_serves_them_with_a_default_adopts_what_was_said_elsewhere) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.connected(bob, bobs);
    const auto away =
        board.read_elsewhere(bob, {{kOther, {Status::away, "", 5}}, {kThird, {Status::online, ""}}});
    ASSERT_TRUE(away);
    EXPECT_EQ(away->presence.status, Status::away);
    EXPECT_EQ(board.word_of(bob), (Word{Status::away, "", 5}));
}

TEST_F(BoardTest, words_that_come_in_another_order_count_the_same) {
    const Word first{Status::away, "first", 5}, last{Status::online, "last", 6};
    for (const bool swapped : {false, true}) {
        Board served(clock), watching(clock);
        served.connected(bob, bobs);
        watching.connected(ann, anns);
        watching.watch(anns, {bob});
        for (auto* one : {&served, &watching}) {
            one->said_elsewhere(bob, swapped ? kThird : kOther, swapped ? last : first);
            one->said_elsewhere(bob, swapped ? kOther : kThird, swapped ? first : last);
        }
        EXPECT_EQ(served.word_of(bob), last);
        EXPECT_EQ(watching.look({bob}).front().text, "last");
        EXPECT_FALSE(watching.gone_elsewhere(bob, kThird, 9));
        EXPECT_EQ(watching.look({bob}).front().text, "last") << "the other has adopted it";
    }
}

TEST_F(BoardTest, what_is_said_here_is_later_than_what_it_answers) {
    board.connected(bob, bobs);
    const auto ahead = clock.now_ms() + 5'000;  // the other machine's clock
    board.said_elsewhere(bob, kOther, {Status::offline, "", ahead});
    board.say(bob, Status::online, "");
    EXPECT_EQ(board.word_of(bob), (Word{Status::online, "", ahead + 1}));
    board.say(bob, Status::online, "");
    EXPECT_EQ(board.word_of(bob)->said_at, ahead + 2) << "said again";
}

TEST_F(BoardTest, a_word_that_cannot_be_confirmed_lapses) {
    board.connected(ann, anns);
    board.watch(anns, {bob});
    board.said_elsewhere(bob, kOther, {Status::online, ""});
    board.said_elsewhere(bob, kThird, {Status::away, "", 5});
    clock.passed += kForgetAfter / 2;
    EXPECT_FALSE(
        board.read_elsewhere(bob, {{kThird, {Status::away, "", 5}}, {kOther, {Status::online, ""}}}));
    clock.passed += kForgetAfter / 2;
    EXPECT_TRUE(board.lapse().empty()) << "confirmed since";
    EXPECT_FALSE(board.said_elsewhere(bob, kOther, {Status::away, "", 5}));
    clock.passed += kForgetAfter / 2 + std::chrono::seconds(1);
    EXPECT_TRUE(board.lapse().empty()) << "one of two is enough";
    clock.passed += kForgetAfter / 2;
    EXPECT_FALSE(board.known(bob));
    const auto told = board.lapse();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told.front().presence.status, Status::offline);
    EXPECT_EQ(told.front().watchers, (Recipients{{ann, anns}}));
    EXPECT_TRUE(board.lapse().empty()) << "once";
    EXPECT_TRUE(board.read_elsewhere(bob, {{kOther, {Status::away, "", 5}}})) << "there after all";
}

TEST_F(BoardTest, subscriptions_are_limited) {
    EXPECT_FALSE(board.may_watch(anns));
    board.connected(ann, anns);
    int taken = 0;
    for (int i = 0; i < 50; ++i)
        taken += board.may_watch(anns);
    EXPECT_EQ(taken, static_cast<int>(kSubscribesBurst));
    clock.passed += std::chrono::seconds(1);
    taken = 0;
    for (int i = 0; i < 50; ++i)
        taken += board.may_watch(anns);
    EXPECT_EQ(taken, static_cast<int>(kSubscribesPerSecond));
}

TEST_F(BoardTest, it_says_who_is_watched_here) {
    std::vector<std::pair<UserId, bool>> told;
    board.on_watched([&](UserId user, bool begins) { told.emplace_back(user, begins); });
    board.connected(ann, anns);
    board.connected(bob, bobs);
    board.watch(anns, {bob});
    board.watch(bobs, {bob});
    EXPECT_EQ(told, (std::vector<std::pair<UserId, bool>>{{bob, true}}));
    EXPECT_EQ(board.watched_users(false), std::vector{bob});
    EXPECT_TRUE(board.watched_users(true).empty());
    board.disconnected(ann, anns);
    board.disconnected(bob, bobs);
    EXPECT_EQ(told, (std::vector<std::pair<UserId, bool>>{{bob, true}, {bob, false}}));
}

}  // namespace
}  // namespace supd::presence
