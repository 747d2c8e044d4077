// The sweep: what hints have missed is healed, and no cursor passes what a session was not sent.
#include "hub_rig.hpp"

namespace supd::ws {
namespace {

using namespace testing_;
using Seqs = std::vector<std::int64_t>;
using Cursors = std::vector<std::uint64_t>;

class HubSweep : public testing::Test {
protected:
    // No pause: the next question stands as soon as a sweep is done, and waits for the test.
    HubSweep() : HubSweep(HubOptions{kNever, kAtOnce, kAtOnce, kAtOnce}) {}
    explicit HubSweep(HubOptions times) : rig(times) {
        rig.log.append(chat, joins({anna, ben}));  // 1
    }
    const FakeLog::SweepAsk& asked() { return *rig.log.sweeps.front(); }
    void send_mark(LogSource::MarkHead head) {
        rig.hub.send_marks(head, {{ChatId{head.owner.bytes}, {}, make_frame(R"({"type":"read_receipt"})")}});
        rig.settle();
    }

    const UserId anna = UserId::make(), ben = UserId::make(), cleo = UserId::make();
    const ChatId chat = ChatId::make(), other = ChatId::make();
    Rig rig;
};

TEST_F(HubSweep, rests_while_nobody_is_there) {
    EXPECT_TRUE(rig.log.sweeps.empty());
    auto a = rig.connect_live(anna);
    ASSERT_EQ(rig.log.sweeps.size(), 1U);
    a.peer->hang_up();
    rig.sweep();
    EXPECT_TRUE(rig.log.sweeps.empty());
    auto b = rig.connect(ben);
    EXPECT_EQ(rig.log.sweeps.size(), 1U) << "it wakes when the first one comes";
}

TEST_F(HubSweep, asks_for_the_chats_and_users_that_are_here) {
    rig.log.append(other, joins({cleo}));
    auto a = rig.connect_live(anna), held = rig.connect(ben);
    rig.sweep();
    EXPECT_EQ(asked().chats, std::vector{chat});
    EXPECT_TRUE(std::ranges::is_permutation(asked().users, std::vector{anna, ben}));
}

TEST_F(HubSweep, heals_a_lost_hint) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    const auto lost = rig.log.append_some(chat, 3);
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
    EXPECT_EQ(rig.log.reads_asked, 1);
    rig.publish({lost[1]});
    rig.write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5})) << "a hint that was only late changes nothing";
}

TEST_F(HubSweep, heals_what_was_lost_before_it_went_live) {
    auto a = rig.connect(anna);
    const auto snapshot = rig.snapshot(anna);
    rig.log.append(chat);
    rig.go_live(a, snapshot);
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), Seqs{2});
}

TEST_F(HubSweep, one_channel_with_nothing_new_is_not_read) {
    auto a = rig.connect_live(anna);
    for (int i = 0; i < 5; ++i) {
        rig.write(chat);
        rig.sweep();
    }
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5, 6}));
    EXPECT_EQ(rig.log.reads_asked, 0);
}

// -- memberships that began elsewhere

TEST_F(HubSweep, adopts_a_join_from_another_process) {
    auto c = rig.connect_live(cleo);
    rig.sweep();
    rig.log.append(other);
    rig.log.append(other, joins({cleo}));
    rig.log.append(other);
    rig.sweep();
    EXPECT_EQ(c.seqs(other), (Seqs{2, 3}));
    EXPECT_TRUE(rig.subscribed(c, other));
    EXPECT_FALSE(c.closed());
    rig.write(other);
    EXPECT_EQ(c.seqs(other), (Seqs{2, 3, 4}));
}

TEST_F(HubSweep, adopts_a_join_beside_others) {
    auto a = rig.connect_live(anna), c = rig.connect_live(cleo);
    rig.sweep();
    rig.log.append(chat, joins({cleo}));
    rig.log.append(chat);
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3}));
    EXPECT_FALSE(c.closed());
}

TEST_F(HubSweep, a_join_that_the_channel_is_past_is_read_for_that_session) {
    auto c = rig.connect_live(cleo);
    rig.sweep();
    rig.sweep();
    rig.log.append(chat, joins({cleo}));
    auto b = rig.connect_live(ben);  // the channel begins behind the join
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(c.seqs(chat), Seqs{2});
    EXPECT_TRUE(b.seqs(chat).empty());
}

// -- marks

TEST_F(HubSweep, a_mark_that_could_not_be_told_comes_before_the_next_cursor) {
    auto a = rig.connect_live(anna), held = rig.connect(ben);
    const auto snapshot = rig.snapshot(ben);
    send_mark(rig.log.mark(chat));
    EXPECT_EQ(a.count("read_receipt"), 1U);
    rig.go_live(held, snapshot);
    EXPECT_EQ(held.count("read_receipt"), 0U);
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(held.count("read_receipt"), 1U);
    EXPECT_EQ(rig.log.marks_asked, 1);
    EXPECT_EQ(a.count("read_receipt"), 1U);
}

TEST_F(HubSweep, a_mark_that_another_process_wrote_comes_before_the_next_cursor) {
    auto a = rig.connect_live(anna), b = rig.connect_live(ben);
    rig.sweep();
    rig.log.mark(chat);
    rig.sweep();
    EXPECT_EQ(a.count("read_receipt"), 1U);
    EXPECT_EQ(b.count("read_receipt"), 1U);
    EXPECT_EQ(rig.log.marks_asked, 1) << "once for all";
    EXPECT_EQ(a.heard().back().type, "cursor");
    EXPECT_EQ(a.cursors().back(), rig.log.w());
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(a.count("read_receipt"), 1U);
}

TEST_F(HubSweep, a_mark_that_was_told_is_not_told_again) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    send_mark(rig.log.mark(chat));
    rig.sweep();
    const auto third = (rig.log.mark(chat), rig.log.mark(chat));
    send_mark(third);  // the second was another process's
    EXPECT_EQ(a.count("read_receipt"), 2U);
    EXPECT_EQ(rig.log.marks_asked, 0);
    rig.sweep();
    EXPECT_EQ(a.count("read_receipt"), 3U);
    rig.sweep();
    EXPECT_EQ(a.count("read_receipt"), 3U);
}

TEST_F(HubSweep, marks_that_cannot_be_read_are_still_missed) {
    auto a = rig.connect(anna), other_one = rig.connect_live(ben);
    const auto snapshot = rig.snapshot(anna);
    send_mark(rig.log.mark(chat));
    rig.go_live(a, snapshot);
    rig.log.marks_failure = std::make_exception_ptr(base::unavailable());
    rig.sweep();
    rig.sweep();
    EXPECT_GT(rig.log.marks_asked, 0);
    EXPECT_TRUE(a.cursors().empty());
    rig.log.marks_failure = nullptr;
    rig.sweep();
    EXPECT_EQ(a.count("read_receipt"), 1U);
    EXPECT_FALSE(a.cursors().empty());
}

TEST_F(HubSweep, a_stay_that_ended_and_began_again_elsewhere_goes_on) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    rig.sweep();
    rig.log.append(chat, leaves({anna}));
    rig.log.append(chat);
    rig.log.append(chat, joins({anna}));
    rig.log.append(chat);
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 4, 5}));
    EXPECT_TRUE(rig.subscribed(a, chat));
}

TEST_F(HubSweep, a_join_of_a_session_that_went_live_during_the_first_sweep) {
    auto c = rig.connect(cleo);  // the sweep has begun
    const auto snapshot = rig.snapshot(cleo);
    rig.log.append(other, joins({cleo}));
    rig.log.look(rig.log.sweeps);
    rig.go_live(c, snapshot);
    rig.sweep();
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(c.seqs(other), Seqs{1});
}

TEST_F(HubSweep, who_leaves_and_joins_again_between_two_sweeps_is_adopted) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    rig.sweep();
    rig.log.append(chat, leaves({anna}));
    rig.log.append(chat);
    rig.log.append(chat, joins({anna}));
    const auto w = rig.log.w();
    rig.sweep();
    EXPECT_EQ(std::ranges::count(a.cursors(), w), 0) << "4 was not sent yet";
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 4}));
    EXPECT_FALSE(a.closed());
}

// -- cursors

TEST_F(HubSweep, a_cursor_follows_what_was_sent) {
    auto a = rig.connect_live(anna), b = rig.connect_live(ben);
    rig.sweep();
    rig.write(chat);
    const auto w = rig.log.w();
    rig.sweep();
    EXPECT_EQ(a.cursors(), Cursors{w});
    EXPECT_EQ(b.cursors(), Cursors{w});
    EXPECT_EQ(a.heard().back().type, "cursor");
    rig.sweep();
    EXPECT_EQ(a.cursors(), Cursors{w}) << "nothing durable came since";
    rig.write(chat);
    rig.sweep();
    EXPECT_EQ(a.cursors(), (Cursors{w, rig.log.w()}));
}

TEST_F(HubSweep, what_the_sender_has_by_its_ack_moves_its_cursor_too) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    rig.sweep();
    const auto before = a.cursors().size();
    rig.publish({rig.log.append(chat, sent_by(a.session->socket_id()))});
    rig.sweep();
    EXPECT_EQ(a.cursors().size(), before + 1);
}

TEST_F(HubSweep, a_cursor_waits_for_transactions_that_may_still_commit) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    const auto slow = rig.log.begin(other);
    rig.write(chat);
    rig.sweep();
    EXPECT_TRUE(a.cursors().empty()) << "it stands where it stood: W is held back";
    rig.log.commit(slow, joins({anna}));
    rig.sweep();
    EXPECT_TRUE(a.cursors().empty());
    EXPECT_EQ(a.seqs(other), Seqs{1});
    rig.sweep();
    EXPECT_EQ(a.cursors(), Cursors{rig.log.w()});
}

TEST_F(HubSweep, who_went_live_while_it_was_under_way_waits_for_the_next) {
    auto b = rig.connect_live(ben), a = rig.connect(anna), c = rig.connect(cleo);
    rig.sweep();
    const auto of_a = rig.snapshot(anna), of_c = rig.snapshot(cleo);
    rig.log.append(chat);
    rig.log.append(other, joins({cleo}));
    rig.log.look(rig.log.sweeps);
    rig.go_live(a, of_a);
    rig.go_live(c, of_c);  // has no chats, yet
    const auto w = rig.log.w();
    rig.sweep();
    EXPECT_EQ(a.cursors(), Cursors{});
    EXPECT_EQ(c.cursors(), Cursors{});
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(a.cursors(), Cursors{w});
    EXPECT_EQ(a.seqs(chat), Seqs{2});
    EXPECT_EQ(c.cursors(), Cursors{w});
    EXPECT_EQ(c.seqs(other), Seqs{1});
}

TEST_F(HubSweep, who_went_live_while_it_waits_for_what_is_in_flight_has_no_cursor_of_it) {
    auto b = rig.connect_live(ben);
    rig.sweep();
    auto c = rig.connect(cleo);
    const auto of_c = rig.snapshot(cleo);
    rig.log.append(other, joins({cleo}));
    rig.log.append(chat);
    rig.log.hold_reads = true;
    rig.sweep();
    ASSERT_EQ(rig.log.reads.size(), 1U) << "the sweep has its answer and reads what ben lacks";
    rig.go_live(c, of_c);
    rig.log.hold_reads = false;
    rig.log.answer(rig.log.reads);
    rig.settle();
    EXPECT_EQ(c.cursors(), Cursors{});
    rig.sweep();
    rig.sweep();
    EXPECT_EQ(c.seqs(other), Seqs{1});
    EXPECT_EQ(c.cursors(), Cursors{rig.log.w()});
}

TEST_F(HubSweep, who_was_subscribed_while_it_was_under_way_waits_for_the_next) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    rig.sweep();
    const auto before = a.cursors();
    rig.write(chat);
    const auto joined = rig.log.append(other, joins({anna}));
    rig.log.append(other);  // its hint is lost, and the sweep has not asked for this chat
    rig.log.look(rig.log.sweeps);
    rig.publish({joined});
    const auto w = rig.log.w();
    rig.sweep();
    EXPECT_EQ(a.cursors(), before);
    rig.sweep();
    EXPECT_EQ(a.seqs(other), (Seqs{1, 2}));
    EXPECT_EQ(a.cursors().back(), w);
}

TEST_F(HubSweep, there_is_no_cursor_while_a_channel_is_behind) {
    auto a = rig.connect_live(anna), c = rig.connect_live(cleo);
    rig.sweep();
    rig.sweep();
    const auto before = a.cursors();
    rig.log.append(chat);
    rig.log.hold_reads = true;
    rig.sweep();
    rig.log.fail(rig.log.reads);
    rig.settle();
    EXPECT_EQ(a.cursors(), before);
    ASSERT_EQ(rig.log.sweeps.size(), 1U) << "the next one has begun";
    rig.log.hold_reads = false;
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), Seqs{2});
    EXPECT_EQ(a.cursors().back(), rig.log.w());
}

TEST_F(HubSweep, a_sweep_that_fails_moves_nothing) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    const auto since = asked().since;
    const auto lost = rig.log.append(chat);
    rig.log.fail(rig.log.sweeps);
    rig.settle();
    EXPECT_TRUE(a.cursors().empty());
    ASSERT_EQ(rig.log.sweeps.size(), 1U);
    EXPECT_LE(asked().since, since);
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), Seqs{2});
    EXPECT_EQ(a.cursors(), Cursors{rig.log.w()});
}

TEST_F(HubSweep, a_failure_of_another_kind_is_not_the_end_of_sweeping) {
    auto a = rig.connect_live(anna);
    rig.log.append(chat);
    rig.log.fail(rig.log.sweeps, std::make_exception_ptr(std::runtime_error("sql error XX000")));
    rig.settle();
    ASSERT_EQ(rig.log.sweeps.size(), 1U);
    rig.log.hold_reads = true;
    rig.sweep();
    rig.log.fail(rig.log.reads, std::make_exception_ptr(std::runtime_error("sql error XX000")));
    rig.settle();
    EXPECT_TRUE(a.cursors().empty());
    ASSERT_EQ(rig.log.sweeps.size(), 1U);
    rig.log.hold_reads = false;
    rig.sweep();
    EXPECT_EQ(a.seqs(chat), Seqs{2});
}

// -- times

class HubSweepTimes : public HubSweep {
protected:
    explicit HubSweepTimes(HubOptions times = {kAtOnce, kAtOnce, std::chrono::milliseconds(40), kNever})
        : HubSweep(times) {}
};

class HubSweepPause : public HubSweepTimes {
protected:
    HubSweepPause() : HubSweepTimes({kNever, std::chrono::milliseconds(5), kAtOnce, kAtOnce}) {}
};

TEST_F(HubSweepPause, looks_back_to_the_snapshot_of_who_went_live_since) {
    auto a = rig.connect_live(anna), c = rig.connect(cleo);
    const auto snapshot = rig.snapshot(cleo);
    rig.log.append(other, joins({cleo}));
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(rig.turn_until([&] { return !rig.log.sweeps.empty(); }));
        rig.sweep();
    }
    rig.go_live(c, snapshot);
    ASSERT_TRUE(rig.turn_until([&] { return !rig.log.sweeps.empty(); }));
    EXPECT_LE(asked().since, snapshot.w);
    rig.sweep();
    EXPECT_EQ(c.seqs(other), Seqs{1});
}

TEST_F(HubSweepTimes, what_is_in_flight_is_not_read) {
    auto a = rig.connect_live(anna);
    rig.sweep();
    const auto events = rig.log.append_some(chat, 2);
    const int asked_before = rig.log.sweeps_asked;
    rig.log.answer(rig.log.sweeps);
    rig.publish(events);  // arrives behind the sweep's answer, before the grace is over
    ASSERT_EQ(rig.log.sweeps_asked, asked_before) << "it waits";
    ASSERT_TRUE(rig.turn_until([&] { return rig.log.sweeps_asked > asked_before; }));
    EXPECT_EQ(rig.log.reads_asked, 0);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));

    rig.log.append(chat);
    rig.log.answer(rig.log.sweeps);
    ASSERT_TRUE(rig.turn_until([&] { return rig.log.sweeps_asked > asked_before + 1; }));
    EXPECT_EQ(rig.log.reads_asked, 1) << "what has not come by then is";
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
}

TEST_F(HubSweepTimes, a_join_in_flight_closes_nobody) {
    auto a = rig.connect_live(anna), c = rig.connect_live(cleo);
    rig.sweep();
    const auto events = {rig.log.append(chat, joins({cleo})), rig.log.append(chat)};
    const int asked_before = rig.log.sweeps_asked;
    rig.log.answer(rig.log.sweeps);
    rig.publish(events);
    ASSERT_TRUE(rig.turn_until([&] { return rig.log.sweeps_asked > asked_before; }));
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3}));
    EXPECT_FALSE(c.closed());
}

TEST_F(HubSweepTimes, cursors_are_no_more_often_than_they_should_be) {
    auto a = rig.connect_live(anna);
    for (int i = 0; i < 5; ++i) {
        rig.write(chat);
        const int asked_before = rig.log.sweeps_asked;
        rig.log.answer(rig.log.sweeps);
        ASSERT_TRUE(rig.turn_until([&] { return rig.log.sweeps_asked > asked_before; }));
    }
    EXPECT_TRUE(a.cursors().empty());
}

}  // namespace
}  // namespace supd::ws
