// A chat stays in its lane while anything of it waits there.
#include <chatlog/chat_lanes.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace supd::chatlog {
namespace {

TEST(ChatLanes, AFreeChatGoesWhereItIsWanted) {
    ChatLanes lanes;
    const auto chat = ChatId::make();
    EXPECT_EQ(lanes.enter(chat, 1), 1U);
    lanes.leave(chat);
    EXPECT_EQ(lanes.enter(chat, 0), 0U);
}

TEST(ChatLanes, StaysUntilItsLastMessageIsAnswered) {
    ChatLanes lanes;
    const auto chat = ChatId::make();
    const auto other = ChatId::make();
    EXPECT_EQ(lanes.enter(chat, 0), 0U);
    EXPECT_EQ(lanes.enter(chat, 1), 0U);
    EXPECT_EQ(lanes.enter(other, 1), 1U);
    lanes.leave(chat);
    EXPECT_EQ(lanes.enter(chat, 1), 0U);
    lanes.leave(chat);
    lanes.leave(chat);
    EXPECT_EQ(lanes.enter(chat, 1), 1U);
}

TEST(ChatLanes, IsNeverInTwoLanes) {
    ChatLanes lanes;
    const std::vector<ChatId> chats{ChatId::make(), ChatId::make()};
    std::vector<std::atomic<int>> inside(4);
    std::atomic<bool> apart{true};
    const auto work = [&](std::size_t wanted) {
        for (int i = 0; i < 20'000; ++i) {
            const std::size_t which = static_cast<std::size_t>(i) % chats.size();
            const auto lane = lanes.enter(chats[which], wanted);
            ++inside[which * 2 + lane];
            if (inside[which * 2 + (1 - lane)] != 0) apart = false;
            --inside[which * 2 + lane];
            lanes.leave(chats[which]);
        }
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < 4; ++i)
        threads.emplace_back(work, i % 2);
    threads.clear();
    EXPECT_TRUE(apart);
}

}  // namespace
}  // namespace supd::chatlog
