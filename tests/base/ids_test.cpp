#include <supd/base/ids.hpp>

#include <gtest/gtest.h>

#include <unordered_set>

namespace supd::base {
namespace {

TEST(Ids, TextRoundTrip) {
    const std::string text = "0198f2c0-1234-7abc-8def-0123456789ab";
    auto id = ChatId::parse(text);
    ASSERT_TRUE(id);
    EXPECT_EQ(id->text(), text);
    EXPECT_EQ(ChatId::parse("0198F2C0-1234-7ABC-8DEF-0123456789AB")->text(), text);
}

TEST(Ids, RefusesEverythingElse) {
    for (const char* bad : {"", "0198f2c012347abc8def0123456789ab", "{0198f2c0-1234-7abc-8def-0123456789ab}",
                            "0198f2c0-1234-7abc-8def-0123456789ag", "0198f2c0-1234-7abc-8def-0123456789a",
                            "0198f2c0-1234-7abc-8def-0123456789abc", "0198f2c0 1234-7abc-8def-0123456789ab"})
        EXPECT_FALSE(ChatId::parse(bad)) << bad;
}

TEST(Ids, MadeOnesAreVersion7AndUnique) {
    std::unordered_set<MessageId> seen;
    for (int i = 0; i < 10'000; ++i) {
        auto id = MessageId::make();
        EXPECT_EQ(id.bytes[6] >> 4, 7);
        EXPECT_EQ(id.bytes[8] >> 6, 2);
        EXPECT_TRUE(seen.insert(id).second);
    }
}

}  // namespace
}  // namespace supd::base
