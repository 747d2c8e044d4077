#include <gtest/gtest.h>
#include <nodes/window.hpp>

#include <algorithm>
#include <memory>
#include <vector>

namespace supd::nodes {
namespace {

class WindowTest : public testing::Test {
protected:
    std::shared_ptr<Window> window(std::size_t count, std::size_t width) {
        return std::make_shared<Window>(
            count, width,
            [this](std::size_t number, Window::Ended ended) {
                EXPECT_EQ(number, started++);
                open.push_back(std::move(ended));
                most = std::max(most, open.size());
            },
            [this] { ++all_ended; });
    }
    void end_one() {
        const auto ended = std::move(open.back());
        open.pop_back();
        ended();
    }
    std::vector<Window::Ended> open;
    std::size_t started = 0, most = 0;
    int all_ended = 0;
};

TEST_F(WindowTest, each_that_ends_starts_the_next) {
    window(10, 3)->run();
    EXPECT_EQ(started, 3U);
    end_one();
    EXPECT_EQ(started, 4U);
    while (!open.empty()) {
        EXPECT_EQ(all_ended, 0);
        end_one();
    }
    EXPECT_EQ(started, 10U);
    EXPECT_EQ(most, 3U);
    EXPECT_EQ(all_ended, 1);
}

TEST_F(WindowTest, fewer_than_fit_start_together) {
    window(2, 3)->run();
    EXPECT_EQ(started, 2U);
    end_one();
    end_one();
    EXPECT_EQ(all_ended, 1);
}

TEST_F(WindowTest, what_ends_at_once_does_not_nest) {
    std::size_t depth = 0, deepest = 0, begun = 0;
    std::make_shared<Window>(
        100'000, 3,
        [&](std::size_t, const Window::Ended& ended) {
            deepest = std::max(deepest, ++depth);
            ++begun;
            ended();
            --depth;
        },
        [this] { ++all_ended; })
        ->run();
    EXPECT_EQ(begun, 100'000U);
    EXPECT_EQ(deepest, 1U);
    EXPECT_EQ(all_ended, 1);
}

}  // namespace
}  // namespace supd::nodes
