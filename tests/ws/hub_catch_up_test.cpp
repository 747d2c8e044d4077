// From the snapshot that a catch-up has read to live delivery: nothing is lost between them, nothing is given
// twice.
#include "hub_rig.hpp"

namespace supd::ws {
namespace {

using namespace testing_;
using Seqs = std::vector<std::int64_t>;

class HubCatchUp : public testing::Test {
protected:
    HubCatchUp() {
        rig.log.append(chat, joins({anna, ben}));  // 1
    }
    void live(Client& client, const Rig::Snapshot& snapshot) {
        rig.go_live(client, snapshot);
        rig.settle();
    }

    const UserId anna = UserId::make(), ben = UserId::make(), cleo = UserId::make();
    const ChatId chat = ChatId::make(), other = ChatId::make();
    Rig rig;
};

TEST_F(HubCatchUp, what_came_meanwhile_is_given_once_when_it_goes_live) {
    auto b = rig.connect_live(ben);
    auto a = rig.connect(anna);
    rig.write(chat, 2);  // 2 and 3 are in the snapshot
    const auto snapshot = rig.snapshot(anna);
    rig.write(chat, 2);
    EXPECT_TRUE(a.seqs(chat).empty()) << "held back";
    live(a, snapshot);
    EXPECT_EQ(a.seqs(chat), (Seqs{4, 5}));
    rig.write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{4, 5, 6}));
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4, 5, 6}));
    EXPECT_FALSE(a.closed());
}

TEST_F(HubCatchUp, nobody_else_has_to_be_there) {
    auto a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    const auto events = rig.log.append_some(chat, 3);
    rig.publish({events[2]});
    rig.publish({events[0], events[1]});
    live(a, snapshot);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4})) << "they came in another order";
    rig.write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5}));
}

TEST_F(HubCatchUp, what_was_published_twice_is_given_once) {
    auto a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    const auto events = rig.log.append_some(chat, 2);
    rig.publish({events[0], events[1], events[0]});
    rig.publish(events);
    live(a, snapshot);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
    auto b = rig.connect_live(ben), a2 = rig.connect(anna);
    const auto second = rig.snapshot(anna);
    const auto more = rig.log.append_some(chat, 2);
    rig.publish({more[0], more[0], more[1]});
    rig.publish(more);
    live(a2, second);
    EXPECT_EQ(a2.seqs(chat), (Seqs{4, 5}));
    EXPECT_EQ(b.seqs(chat), (Seqs{4, 5}));
}

TEST_F(HubCatchUp, its_own_messages_are_not_among_them) {
    auto a = rig.connect(anna);
    rig.hold(a, rig.snapshot(anna));
    rig.publish({rig.log.append(chat, sent_by(a.session->socket_id()))});
    rig.write(chat);
    rig.finish(a);
    rig.settle();
    EXPECT_EQ(a.seqs(chat), Seqs{3});
}

TEST_F(HubCatchUp, a_snapshot_ahead_of_the_others_gives_nothing_twice) {
    auto b = rig.connect_live(ben);
    const auto events = rig.log.append_some(chat, 3);
    auto a = rig.connect(anna);
    live(a, rig.snapshot(anna));  // covers what the channel has not seen yet
    rig.publish(events);
    rig.write(chat);
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4, 5}));
    EXPECT_EQ(a.seqs(chat), Seqs{5});
}

TEST_F(HubCatchUp, what_the_others_got_before_it_came_is_read_from_the_log) {
    auto a = rig.connect(anna);
    const auto old = rig.snapshot(anna);
    auto b = rig.connect(ben);
    rig.log.page = 3;
    const auto lost = rig.log.append_some(chat, 8);  // 2 to 9: several pages
    live(b, rig.snapshot(ben));                      // the channel begins behind what anna's snapshot lacks
    live(a, old);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5, 6, 7, 8, 9}));
    rig.publish(lost);
    rig.write(chat);
    EXPECT_EQ(b.seqs(chat), Seqs{10});
    EXPECT_EQ(a.seqs(chat).back(), 10);
    EXPECT_EQ(a.seqs(chat).size(), 9U);
}

TEST_F(HubCatchUp, what_is_newer_waits_for_what_is_owed) {
    auto b = rig.connect_live(ben), a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.write(chat, 2);
    rig.log.hold_reads = true;
    live(a, snapshot);
    rig.write(chat);
    EXPECT_TRUE(a.seqs(chat).empty());
    rig.log.hold_reads = false;
    rig.log.answer(rig.log.reads);
    rig.settle();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
    rig.write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5}));
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4, 5}));
}

TEST_F(HubCatchUp, a_log_that_cannot_be_read_makes_it_come_back) {
    auto b = rig.connect_live(ben), a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.write(chat);
    rig.log.hold_reads = true;
    live(a, snapshot);
    rig.log.fail(rig.log.reads);
    rig.settle();
    EXPECT_EQ(a.closed(), 1012U);
    EXPECT_TRUE(a.seqs(chat).empty());
}

// -- who joins and leaves meanwhile

TEST_F(HubCatchUp, a_chat_joined_meanwhile_begins_with_that_event) {
    auto b = rig.connect_live(ben), c = rig.connect(cleo);
    const auto snapshot = rig.snapshot(cleo);
    rig.write(chat);
    rig.publish({rig.log.append(chat, joins({cleo}))});
    rig.write(chat);
    rig.publish({rig.log.append(other, joins({cleo}))});
    live(c, snapshot);
    EXPECT_EQ(c.seqs(chat), (Seqs{3, 4}));
    EXPECT_EQ(c.seqs(other), Seqs{1});
    rig.write(chat);
    rig.write(other);
    EXPECT_EQ(c.seqs(chat), (Seqs{3, 4, 5}));
    EXPECT_EQ(c.seqs(other), (Seqs{1, 2}));
}

TEST_F(HubCatchUp, a_chat_left_meanwhile_ends_with_that_event) {
    auto b = rig.connect_live(ben), a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.write(chat);
    rig.publish({rig.log.append(chat, leaves({anna}))});
    rig.write(chat);
    live(a, snapshot);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
    EXPECT_FALSE(rig.subscribed(a, chat));
    EXPECT_FALSE(a.closed());
    rig.write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4, 5}));
}

TEST_F(HubCatchUp, a_join_meanwhile_brings_its_followers) {
    auto c = rig.connect(cleo), b = rig.connect(ben);
    const auto before = rig.snapshot(cleo);
    rig.publish({rig.log.append(chat, joins({cleo}))});  // 2
    const auto late = rig.log.append_some(chat, 2);
    live(b, rig.snapshot(ben));  // the channel begins behind them
    live(c, before);
    rig.publish(late);
    rig.write(chat);
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3, 4, 5}));
}

TEST_F(HubCatchUp, an_old_join_does_not_bring_back_who_has_left) {
    auto holder = rig.connect(ben);  // so that what comes is kept
    rig.publish({rig.log.append(chat, joins({cleo}))});
    const auto leaving = rig.log.append(chat, leaves({cleo}));
    rig.log.append_some(chat, 2);
    auto b = rig.connect_live(ben);  // the channel begins behind all of it
    auto c = rig.connect(cleo);
    live(c, rig.snapshot(cleo));
    rig.publish({leaving});
    rig.write(chat);
    EXPECT_EQ(b.seqs(chat), Seqs{6});
    EXPECT_TRUE(c.seqs(chat).empty()) << "cleo is no member";
    EXPECT_FALSE(rig.subscribed(c, chat));
    EXPECT_FALSE(c.closed());
}

TEST_F(HubCatchUp, a_join_meanwhile_may_be_over_in_the_snapshot) {
    auto c = rig.connect(cleo);
    rig.publish({rig.log.append(chat, joins({cleo}))});
    rig.log.append(chat, leaves({cleo}));  // in another process: no hint will come
    live(c, rig.snapshot(cleo));
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3}));
    EXPECT_FALSE(rig.subscribed(c, chat));
    rig.write(chat);
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3}));
}

TEST_F(HubCatchUp, an_old_leave_does_not_end_a_later_membership) {
    auto b = rig.connect_live(ben), b2 = rig.connect_live(ben);
    const auto leaving = rig.log.append(chat, leaves({anna}));
    rig.log.append(chat, leaves({ben}));
    const auto again = rig.log.append(chat, joins({anna}));
    auto a = rig.connect_live(anna);  // her snapshot knows all three
    rig.publish({leaving});
    EXPECT_TRUE(rig.subscribed(a, chat));
    rig.write(chat);
    rig.publish({rig.log.entries(chat)[2].event});
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3}));
    rig.publish({again});
    EXPECT_EQ(a.seqs(chat), Seqs{5});
}

// -- failures

TEST_F(HubCatchUp, one_that_fails_ends_the_session) {
    rig.catch_up_failure = std::make_exception_ptr(base::unavailable("database_unavailable"));
    auto a = rig.connect(anna);
    EXPECT_EQ(a.count("error"), 1U);
    EXPECT_EQ(a.closed(), 1012U) << "it comes back later";
    rig.catch_up_failure = std::make_exception_ptr(base::forbidden("no"));
    EXPECT_EQ(rig.connect(anna).closed(), 4403U);
    EXPECT_EQ(rig.hub.connected(), 0U);
}

TEST_F(HubCatchUp, one_that_fails_in_another_way_does_not_leave_it_held) {
    rig.catch_up_failure = std::make_exception_ptr(std::runtime_error("sql error XX000"));
    auto a = rig.connect(anna);
    EXPECT_EQ(a.count("error"), 1U);
    EXPECT_EQ(a.closed(), 1012U);
    EXPECT_EQ(rig.hub.connected(), 0U);
}

TEST_F(HubCatchUp, a_channel_ahead_of_the_log_ends_the_session) {
    auto b = rig.connect_live(ben), a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    auto gone = rig.log.append(chat);
    rig.publish({gone});
    ++gone.seq;  // as if the log had been taken back to before it
    rig.publish({gone});
    live(a, snapshot);
    EXPECT_EQ(a.seqs(chat), Seqs{2});
    EXPECT_EQ(a.closed(), 1012U);
}

// -- bounds

TEST_F(HubCatchUp, however_much_comes_meanwhile_nobody_waits) {
    auto slow = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.publish(std::vector<ChatEvent>(60'000, rig.log.append(chat)));
    auto b = rig.connect_live(ben);
    rig.write(chat);
    EXPECT_EQ(b.seqs(chat), Seqs{3});
    live(slow, snapshot);
    EXPECT_EQ(slow.seqs(chat), (Seqs{2, 3}));
    EXPECT_FALSE(slow.closed());
}

TEST_F(HubCatchUp, a_session_that_goes_while_it_catches_up_holds_nothing) {
    auto b = rig.connect_live(ben), a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.write(chat);
    a.peer->hang_up();
    rig.settle();
    live(a, snapshot);  // its catch-up comes back to a closed session
    EXPECT_TRUE(a.seqs(chat).empty());
    EXPECT_EQ(rig.hub.connected(), 1U);
    rig.write(chat);
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3}));
}

TEST_F(HubCatchUp, what_is_noted_for_one_outlives_the_end_of_another) {
    auto first = rig.connect(ben), second = rig.connect(ben);
    rig.hold(first, rig.snapshot(ben));
    first.peer->hang_up();
    rig.settle();
    auto a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.write(chat);  // no channel is here
    second.peer->hang_up();
    rig.settle();
    live(a, snapshot);
    EXPECT_EQ(a.seqs(chat), Seqs{2});
}

TEST_F(HubCatchUp, two_at_once_do_not_disturb_each_other) {
    auto a = rig.connect(anna), b = rig.connect(ben);
    const auto first = rig.snapshot(anna);
    rig.write(chat);
    const auto second = rig.snapshot(ben);
    rig.write(chat);
    live(b, second);
    rig.write(chat);
    live(a, first);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
    EXPECT_EQ(b.seqs(chat), (Seqs{3, 4}));
}

}  // namespace
}  // namespace supd::ws
