#include <gtest/gtest.h>
#include <nodes/renewals.hpp>

#include <vector>

namespace supd::nodes {
namespace {

using namespace std::chrono_literals;

TEST(PartsTest, each_lease_is_written_once_in_each_round) {
    Parts parts;
    std::vector<int> written(100);
    for (std::size_t look = 0; look < Parts::kParts; ++look) {
        int now = 0;
        for (std::size_t hash = 0; hash < written.size(); ++hash)
            if (parts.holds(hash)) ++written[hash], ++now;
        EXPECT_LE(now, static_cast<int>(written.size() / Parts::kParts) + 1) << "never all at once";
        parts.next();
    }
    EXPECT_EQ(written, std::vector<int>(written.size(), 1));
}

TEST(TellAllTest, it_is_seldom_and_not_of_all_at_once) {
    const base::Monotonic::time_point begin{};
    TellAll one, other;
    EXPECT_FALSE(one.take(begin)) << "nobody wants it";
    one.wanted(begin, 0);
    other.wanted(begin, 0.5);
    EXPECT_TRUE(one.take(begin));
    EXPECT_FALSE(one.take(begin)) << "once";
    EXPECT_FALSE(other.take(begin));
    EXPECT_TRUE(other.take(begin + kTellAllSpread / 2));
    int told = 0;
    for (auto passed = 100ms; passed < kTellAllEvery * 5; passed += 100ms) {
        one.wanted(begin + passed, 0);  // a connection that is lost again and again
        told += one.take(begin + passed);
    }
    EXPECT_EQ(told, 4);
}

}  // namespace
}  // namespace supd::nodes
