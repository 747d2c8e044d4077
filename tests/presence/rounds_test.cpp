#include <gtest/gtest.h>
#include <presence/rounds.hpp>

namespace supd::presence {
namespace {

TEST(RoundsTest, all_who_are_watched_are_asked_of_now_and_then) {
    base::Monotonic::time_point now{};
    Rounds rounds(now);
    int elsewhere = 0, all = 0;
    for (auto passed = kLookAgain; passed <= 10 * kReadAllAgain; passed += kLookAgain) {
        const auto round = rounds.next(now + passed, false);
        elsewhere += round != Round::missing;
        all += round == Round::all;
    }
    EXPECT_EQ(all, 10);
    EXPECT_EQ(elsewhere, 10 * (kReadAllAgain / kReadAgain));
}

TEST(RoundsTest, after_an_interruption_at_once) {
    base::Monotonic::time_point now{};
    Rounds rounds(now);
    EXPECT_EQ(rounds.next(now + kLookAgain, true), Round::all);
    EXPECT_EQ(rounds.next(now + 2 * kLookAgain, false), Round::missing);
}

TEST(RoundsTest, what_was_not_answered_is_asked_again_soon) {
    base::Monotonic::time_point now{};
    Rounds rounds(now);
    EXPECT_EQ(rounds.next(now, true), Round::all);
    rounds.failed(Round::all, now);
    EXPECT_EQ(rounds.next(now + kReadAgain, false), Round::all);
    rounds.failed(Round::elsewhere, now + kReadAgain);
    EXPECT_EQ(rounds.next(now + 2 * kReadAgain, false), Round::elsewhere);
}

}  // namespace
}  // namespace supd::presence
