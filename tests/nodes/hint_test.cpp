#include <supd/nodes/limits.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nodes/hint.hpp>
#include <nodes/interest.hpp>

namespace supd::nodes {
namespace {

using base::ChatId;
using base::DeviceId;
using base::UserId;

constexpr NodeId kNode = 0x0123456789abcdef;

ws::ChatEvent an_event(ChatId chat, std::int64_t seq, std::string_view json) {
    ws::ChatEvent out;
    out.chat = chat;
    out.seq = seq;
    out.frame = ws::make_frame(json);
    out.skip = 5;
    return out;
}

std::optional<Hint> decoded(std::string_view bytes) {
    return decode(bytes, [](ChatId) { return true; });
}

class Hints : public testing::Test {
protected:
    MarksMoved some_marks() const {
        return {{ws::MarkOwner{chat.bytes}, 12},
                {{chat, UserId(), ws::make_frame("{2}")}, {chat, ann, ws::make_frame("{3}")}}};
    }
    const ChatId chat = ChatId::make();
    const UserId ann = UserId::make(), ben = UserId::make();
};

TEST_F(Hints, events_come_back_as_they_were_but_for_who_is_skipped) {
    auto first = an_event(chat, 7, R"({"type":"message"})");
    auto second = an_event(chat, -8, "{}");
    second.joined = {ann, ben};
    second.left = {ben};
    const auto bytes = encode_events(kNode, {&first, &second});
    EXPECT_EQ(sender_of(bytes), kNode);
    const auto hint = decoded(bytes);
    ASSERT_TRUE(hint);
    const auto& list = std::get<Events>(*hint).list;
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].chat, chat);
    EXPECT_EQ(list[0].seq, 7);
    EXPECT_EQ(list[0].frame->json(), R"({"type":"message"})");
    EXPECT_EQ(list[0].skip, 0U);
    EXPECT_TRUE(list[0].joined.empty());
    EXPECT_EQ(list[1].chat, chat);
    EXPECT_EQ(list[1].seq, -8);
    EXPECT_EQ(list[1].joined, (std::vector{ann, ben}));
    EXPECT_EQ(list[1].left, std::vector{ben});
}

TEST_F(Hints, the_others_too) {
    const auto frame = decoded(encode(kNode, ChatFrame{chat, ann, "{1}"}));
    EXPECT_EQ(std::get<ChatFrame>(*frame).chat, chat);
    EXPECT_EQ(std::get<ChatFrame>(*frame).except, ann);
    EXPECT_EQ(std::get<ChatFrame>(*frame).json, "{1}");
    const auto moved = decoded(encode(kNode, some_marks()));
    const auto& marks = std::get<MarksMoved>(*moved);
    EXPECT_EQ(marks.head.owner.bytes, chat.bytes);
    EXPECT_EQ(marks.head.version, 12);
    ASSERT_EQ(marks.list.size(), 2U);
    EXPECT_EQ(marks.list[0].chat, chat);
    EXPECT_TRUE(marks.list[0].only.is_nil());
    EXPECT_EQ(marks.list[0].frame->json(), "{2}");
    EXPECT_EQ(marks.list[1].only, ann);
    const auto device_id = DeviceId::make();
    const auto device = decoded(encode(kNode, DeviceAttached{ann, device_id, 1'700'000'000'123}));
    EXPECT_EQ(std::get<DeviceAttached>(*device).user, ann);
    EXPECT_EQ(std::get<DeviceAttached>(*device).device, device_id);
    EXPECT_EQ(std::get<DeviceAttached>(*device).at, 1'700'000'000'123);
    const auto lease = decoded(encode(kNode, LeaseTold{ann, true, "away"}));
    EXPECT_EQ(std::get<LeaseTold>(*lease).user, ann);
    EXPECT_TRUE(std::get<LeaseTold>(*lease).released);
    EXPECT_EQ(std::get<LeaseTold>(*lease).value, "away");
    EXPECT_FALSE(decoded(encode(kNode, LeaseTold{ann, false, std::string(kMaxLeaseValue + 1, 'x')})));
    EXPECT_TRUE(std::holds_alternative<SessionsRevoked>(*decoded(encode(kNode, SessionsRevoked{}))));
}

TEST_F(Hints, what_is_cut_or_longer_is_refused) {
    auto event = an_event(chat, 7, "{}");
    event.joined = {ann};
    for (const auto& whole :
         {encode_events(kNode, {&event, &event}), encode(kNode, ChatFrame{chat, ann, "{}"}),
          encode(kNode, some_marks()), encode(kNode, DeviceAttached{ann, DeviceId::make(), 1}),
          encode(kNode, SessionsRevoked{})}) {
        ASSERT_TRUE(decoded(whole));
        for (std::size_t size = 0; size < whole.size(); ++size)
            EXPECT_FALSE(decoded(std::string_view(whole).substr(0, size))) << size;
        EXPECT_FALSE(decoded(whole + "x"));
        auto other_version = whole, other_kind = whole;
        other_version[0] = 2;
        EXPECT_FALSE(decoded(other_version));
        EXPECT_FALSE(sender_of(other_version));
        other_kind[9] = 99;
        EXPECT_FALSE(decoded(other_kind));
    }
}

TEST_F(Hints, a_count_beyond_the_hint_reserves_nothing) {
    auto event = an_event(chat, 7, "{}");
    auto bytes = encode_events(kNode, {&event});
    for (std::size_t i = 10; i < 14; ++i)
        bytes[i] = '\xff';  // 4 thousand million events
    EXPECT_FALSE(decoded(bytes));
    const std::vector<const ws::ChatEvent*> too_many(kMaxHintEvents + 1, &event);
    EXPECT_FALSE(decoded(encode_events(kNode, too_many)));
}

TEST_F(Hints, what_nobody_follows_is_passed_over) {
    auto here = an_event(chat, 7, "{1}"), elsewhere = an_event(ChatId::make(), 8, "{2}"),
         joining = an_event(ChatId::make(), 1, "{3}");
    joining.joined = {ann};
    const Follows follows = [this](ChatId one) { return one == chat; };
    const auto hint = decode(encode_events(kNode, {&elsewhere, &here, &joining}), follows);
    ASSERT_TRUE(hint);
    const auto& list = std::get<Events>(*hint).list;
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].seq, 7);
    EXPECT_EQ(list[1].joined, std::vector{ann});
    auto marks = some_marks();
    marks.list[0].chat = ChatId::make();
    const auto moved = decode(encode(kNode, marks), follows);
    ASSERT_EQ(std::get<MarksMoved>(*moved).list.size(), 1U);
    EXPECT_EQ(std::get<MarksMoved>(*moved).list[0].only, ann);
}

TEST(FollowedChats, are_counted) {
    FollowedChats chats;
    const auto chat = ChatId::make();
    EXPECT_FALSE(chats.followed(chat));
    chats.follow(chat, false);  // nobody had it
    chats.follow(chat, true);
    chats.follow(chat, true);
    chats.follow(chat, false);
    EXPECT_TRUE(chats.followed(chat));
    chats.follow(chat, false);
    EXPECT_FALSE(chats.followed(chat));
}

TEST(Interest, is_told_of_the_first_and_of_the_last_only) {
    std::vector<std::pair<std::string, bool>> told;
    Interest interest([&](const std::string& channel, bool wanted) { told.emplace_back(channel, wanted); });
    interest.follow("a", true);
    interest.follow("a", true);
    interest.follow("b", true);
    interest.follow("a", false);
    interest.follow("c", false);  // nobody had it
    EXPECT_THAT(told, testing::ElementsAre(std::pair("a", true), std::pair("b", true)));
    interest.follow("a", false);
    interest.follow("a", true);
    EXPECT_THAT(told, testing::ElementsAre(std::pair("a", true), std::pair("b", true), std::pair("a", false),
                                           std::pair("a", true)));
}

}  // namespace
}  // namespace supd::nodes
