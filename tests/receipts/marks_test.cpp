#include <chats/people.hpp>
#include <receipts/store.hpp>

#include <algorithm>

namespace supd::receipts {
namespace {

class MarksTest : public chats::ChatsTest {
protected:
    std::vector<Moved> move(std::vector<Mark> marks) {
        return run([&](db::Transaction& tx) { return store::move(tx, marks); });
    }
    static Mark mark(ChatId chat, UserId user, std::int64_t read, std::int64_t delivered) {
        Mark out;
        out.chat = chat;
        out.user = user;
        out.read = read;
        out.delivered = delivered;
        return out;
    }
};

TEST_F(MarksTest, marks_move_forward_only_and_never_past_what_is_there) {
    const auto ann = person(), bob = person();
    const auto chat = group(ann, {bob});
    for (const auto* title : {"a", "b", "c"})
        run([&](db::Transaction& tx) { return chats::edit_chat(tx, act(ann, chat), title); });  // last_seq 4
    auto moved = move({mark(chat, bob, 0, 3)});
    ASSERT_EQ(moved.size(), 1U);
    EXPECT_TRUE(moved.front().delivered && !moved.front().read);
    EXPECT_EQ(moved.front().mark.delivered, 3);
    moved = move({mark(chat, bob, 2, 0)});
    ASSERT_EQ(moved.size(), 1U);
    EXPECT_TRUE(moved.front().read && !moved.front().delivered);
    EXPECT_TRUE(move({mark(chat, bob, 1, 3)}).empty());
    moved = move({mark(chat, bob, 1'000'000, 0)});
    EXPECT_EQ(moved.front().mark.read, 4);
    EXPECT_EQ(moved.front().mark.delivered, 4) << "what was read was delivered";
    EXPECT_EQ(moved.front().member_count, 2);
}

TEST_F(MarksTest, strangers_and_those_who_left_move_nothing) {
    const auto ann = person(), bob = person();
    const auto chat = group(ann, {bob});
    EXPECT_TRUE(move({mark(chat, person(), 1, 1), mark(ChatId::make(), bob, 1, 1)}).empty());
    run([&](db::Transaction& tx) { return chats::remove_member(tx, act(bob, chat), bob); });
    EXPECT_TRUE(move({mark(chat, bob, 2, 2)}).empty());
    EXPECT_EQ(move({mark(chat, ann, 2, 2), mark(chat, bob, 2, 2)}).size(), 1U);
}

TEST_F(MarksTest, what_moves_is_counted_by_chat) {
    const auto ann = person(), bob = person();
    const auto chat = group(ann, {bob}), other = group(ann, {bob});
    auto moved = move({mark(chat, ann, 1, 0), mark(chat, bob, 1, 0)});
    ASSERT_EQ(moved.size(), 2U);
    for (const auto& one : moved) {
        EXPECT_EQ(one.owner.bytes, chat.bytes);
        EXPECT_EQ(one.version, 1) << "once a transaction";
    }
    run([&](db::Transaction& tx) { return chats::edit_chat(tx, act(ann, chat), "more"); });
    EXPECT_TRUE(move({mark(chat, bob, 1, 0)}).empty());
    std::vector<Mark> both{mark(chat, bob, 2, 0), mark(other, bob, 1, 0)};
    std::ranges::sort(both, {}, &Mark::chat);
    moved = move(both);
    ASSERT_EQ(moved.size(), 2U);
    for (const auto& one : moved)
        EXPECT_EQ(one.version, one.mark.chat == chat ? 2 : 1);
}

}  // namespace
}  // namespace supd::receipts
