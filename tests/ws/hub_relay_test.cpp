// What the hub tells a relay, and what it does with what other processes did.
#include "hub_rig.hpp"

#include <supd/ws/relay.hpp>

namespace supd::ws {
namespace {

using namespace testing_;
using Seqs = std::vector<std::int64_t>;

struct Told final : Relay {
    void events_published(std::shared_ptr<const std::vector<ChatEvent>> events) override {
        for (const auto& event : *events)
            seqs.push_back(event.seq);
    }
    void chat_frame_sent(base::ChatId, FramePtr, UserId except) override { typed.push_back(except); }
    void marks_sent(const LogSource::MarkHead& head, std::shared_ptr<const std::vector<Mark>>) override {
        marked.push_back(head.version);
    }
    void device_attached(UserId, base::DeviceId, base::Millis at) override { attached.push_back(at); }
    void chat_followed(ChatId chat, bool begins) override { chats[chat] += begins ? 1 : -1; }
    void user_followed(UserId user, bool begins) override { users[user] += begins ? 1 : -1; }

    Seqs seqs;
    std::vector<UserId> typed;
    std::vector<std::int64_t> marked;
    std::vector<base::Millis> attached;
    std::map<ChatId, int> chats;
    std::map<UserId, int> users;
};

class HubRelay : public testing::Test {
protected:
    HubRelay() {
        rig.hub.relay_by(told);  // no thread runs yet
        rig.log.append(chat, joins({anna, ben}));
    }
    void hear(std::vector<ChatEvent> events) {
        rig.hub.receive_events(std::move(events));
        rig.settle();
    }

    const UserId anna = UserId::make(), ben = UserId::make(), cleo = UserId::make();
    const ChatId chat = ChatId::make();
    Told told;
    Rig rig{HubOptions{kNever, kNever, kAtOnce, kAtOnce}, {}, 2};
};

TEST_F(HubRelay, what_is_published_here_is_told_and_what_is_heard_is_not) {
    auto a = rig.connect_live(anna);
    rig.write(chat);
    EXPECT_EQ(told.seqs, Seqs{2});
    hear(rig.log.append_some(chat, 2));
    EXPECT_EQ(told.seqs, Seqs{2});
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
    const auto frame = make_frame(R"({"type":"x"})");
    rig.hub.send_to_chat(chat, frame, ben);
    rig.hub.receive_chat_frame(chat, frame, cleo);
    rig.hub.send_marks({MarkOwner{chat.bytes}, 1}, {{chat, {}, frame}});
    rig.hub.receive_marks({MarkOwner{chat.bytes}, 2}, {{chat, {}, frame}});
    rig.settle();
    EXPECT_EQ(a.count("x"), 4U);
    EXPECT_EQ(told.typed, std::vector{ben});
    EXPECT_EQ(told.marked, std::vector<std::int64_t>{1});
}

TEST_F(HubRelay, what_is_heard_late_twice_or_not_at_all_follows_the_rule_of_seqs) {
    auto a = rig.connect_live(anna);
    const auto events = rig.log.append_some(chat, 3);
    hear({events[2]});
    EXPECT_TRUE(a.seqs(chat).empty());
    hear({events[1], events[1]});
    hear({events[0]});
    hear(events);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
}

TEST_F(HubRelay, follows_are_told_in_pairs) {
    auto first = rig.connect_live(anna), second = rig.connect_live(ben);
    auto elsewhere = rig.connect_live(anna, base::DeviceId::make(), SessionId::make(), 1);
    EXPECT_EQ(told.chats[chat], 2) << "once for each shard";
    EXPECT_EQ(told.users[anna], 2);
    EXPECT_EQ(told.users[ben], 1);
    for (auto* client : {&first, &second, &elsewhere}) {
        {
            const async::IoThreads::Acting here(client->thread);
            client->peer->hang_up();
        }
        rig.settle();
    }
    EXPECT_EQ(told.chats[chat], 0);
    EXPECT_EQ(told.users[anna], 0);
    EXPECT_EQ(told.users[ben], 0);
}

TEST_F(HubRelay, a_membership_that_began_elsewhere_begins_here) {
    auto c = rig.connect_live(cleo);
    hear({rig.log.append(chat, joins({cleo}))});
    hear(rig.log.append_some(chat, 1));
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3}));
    EXPECT_EQ(told.chats[chat], 1);
    hear({rig.log.append(chat, leaves({cleo}))});
    hear(rig.log.append_some(chat, 1));
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3, 4}));
    EXPECT_EQ(told.chats[chat], 0);
}

TEST_F(HubRelay, a_device_that_came_to_another_process_leaves_this_one) {
    const auto device = base::DeviceId::make();
    auto a = rig.connect_live(anna, device);
    auto other = rig.connect_live(anna);
    ASSERT_EQ(told.attached.size(), 2U);
    const auto mine = told.attached[0];
    // Both at about the same time: the later one stays, and says so.
    rig.hub.receive_device(anna, device, mine - 1, false);
    rig.settle();
    EXPECT_FALSE(a.closed());
    ASSERT_EQ(told.attached.size(), 3U);
    EXPECT_EQ(told.attached[2], mine);
    rig.hub.receive_device(anna, device, mine, true);
    rig.settle();
    EXPECT_FALSE(a.closed()) << "a tie is won by one of the two";
    rig.hub.receive_device(anna, device, mine, false);
    rig.settle();
    EXPECT_EQ(a.closed(), 4409U);
    EXPECT_FALSE(other.closed());
}

TEST_F(HubRelay, one_that_resumes_is_not_told_of_again) {
    auto a = rig.connect_live(anna);
    {
        const async::IoThreads::Acting here(a.thread);
        rig.hub.detach(*a.session);
        rig.hub.attach(a.session);
    }
    rig.settle();
    EXPECT_EQ(told.attached.size(), 1U);
}

TEST_F(HubRelay, one_that_was_here_for_long_leaves_whatever_the_clocks_say) {
    const auto device = base::DeviceId::make();
    auto a = rig.connect_live(anna, device);
    a.session->hub.came -= std::chrono::seconds(6);
    rig.hub.receive_device(anna, device, told.attached.at(0) - 60'000, false);
    rig.settle();
    EXPECT_EQ(a.closed(), 4409U);
    EXPECT_EQ(told.attached.size(), 1U);
}

}  // namespace
}  // namespace supd::ws
