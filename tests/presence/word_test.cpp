#include <gtest/gtest.h>
#include <presence/word.hpp>

namespace supd::presence {
namespace {

TEST(Words, come_back_from_a_lease) {
    for (const auto& word : {Word{}, Word{Status::away, "", 1'700'000'000'123},
                             Word{Status::offline, "out to  lunch, 5", 7}, Word{Status::online, " 12", 0}}) {
        EXPECT_EQ(word_in(value_of(word)), word) << value_of(word);
    }
}

TEST(Words, that_are_none_are_refused) {
    for (const auto* value : {"", "online", "online ", "here 5", "away lunch", "away -5", "away 5lunch",
                              "away 99999999999999999999"})
        EXPECT_FALSE(word_in(value)) << value;
}

TEST(Words, that_are_newer_count) {
    const Word never{}, chosen{Status::online, "", 1}, later{Status::online, "", 2};
    EXPECT_TRUE(newer(chosen, never));
    EXPECT_TRUE(newer(later, chosen));
    EXPECT_FALSE(newer(never, chosen));
    EXPECT_FALSE(newer(never, never));
    const Word hidden{Status::offline, "", 1};
    EXPECT_TRUE(newer(hidden, chosen)) << "of the same millisecond what hides more";
    EXPECT_FALSE(newer(chosen, hidden));
}

}  // namespace
}  // namespace supd::presence
