// Live delivery: what subscribers get of what is published, in which order, and when it ends.
#include "hub_rig.hpp"

namespace supd::ws {
namespace {

using namespace testing_;
using Seqs = std::vector<std::int64_t>;

class HubDelivery : public testing::Test {
protected:
    HubDelivery() { start(HubOptions{kNever, kNever, kAtOnce, kAtOnce}); }

    void start(HubOptions times, EndpointOptions options = {}, std::size_t threads = 1) {
        rig.reset();
        rig = std::make_unique<Rig>(times, std::move(options), threads);
        rig->log.append(chat, joins({anna, ben}));  // 1
    }

    static Recipient of(const Client& client) { return {client.caller.user, client.caller.session}; }

    const UserId anna = UserId::make(), ben = UserId::make(), cleo = UserId::make();
    const ChatId chat = ChatId::make(), other = ChatId::make();
    std::unique_ptr<Rig> rig;
};

TEST_F(HubDelivery, every_subscriber_gets_all_in_order) {
    auto a = rig->connect_live(anna), b = rig->connect_live(ben), c = rig->connect_live(cleo);
    rig->publish(rig->log.append_some(chat, 3));
    rig->write(chat);
    rig->write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5, 6}));
    EXPECT_EQ(b.seqs(chat), a.seqs(chat));
    EXPECT_TRUE(c.seqs(chat).empty());
    EXPECT_EQ(rig->log.reads_asked, 0);
}

TEST_F(HubDelivery, duplicates_are_dropped) {
    auto a = rig->connect_live(anna);
    const auto events = rig->log.append_some(chat, 2);
    rig->publish({events[0], events[0]});
    rig->publish({events[1], events[0]});
    rig->publish(events);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
}

TEST_F(HubDelivery, what_comes_too_early_waits_for_what_is_before_it) {
    auto a = rig->connect_live(anna);
    const auto events = rig->log.append_some(chat, 5);
    rig->publish({events[4], events[2]});
    rig->publish({events[1], events[1], events[4]});
    EXPECT_TRUE(a.seqs(chat).empty());
    rig->publish({events[0]});
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4}));
    rig->publish({events[3]});
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5, 6}));
    EXPECT_EQ(rig->log.reads_asked, 0) << "it came within the patience";
}

TEST_F(HubDelivery, chats_do_not_wait_for_each_other) {
    rig->log.append(other, joins({anna}));
    auto a = rig->connect_live(anna);
    rig->publish({rig->log.append_some(chat, 2)[1], rig->log.append(other)});
    EXPECT_TRUE(a.seqs(chat).empty());
    EXPECT_EQ(a.seqs(other), Seqs{2});
}

TEST_F(HubDelivery, a_gap_that_stays_is_read_from_the_log) {
    start({kAtOnce, kNever, kAtOnce, kAtOnce});
    auto a = rig->connect_live(anna);
    rig->log.hold_reads = true;
    const auto events = rig->log.append_some(chat, 3);
    rig->publish({events[2]});
    ASSERT_EQ(rig->log.reads.size(), 1U);
    EXPECT_EQ(rig->log.reads.front()->after, 1);
    rig->log.look(rig->log.reads);
    rig->publish({events[0]});
    EXPECT_EQ(a.seqs(chat), Seqs{2}) << "it came after all, while it was being read";
    rig->publish({events[1], rig->log.append(chat)});
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5}));
    rig->log.answer(rig->log.reads);
    rig->write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5, 6})) << "the answer changes nothing any more";
    EXPECT_EQ(rig->log.reads_asked, 1);
}

TEST_F(HubDelivery, a_gap_is_read_while_more_comes) {
    start({kAtOnce, kNever, kAtOnce, kAtOnce});
    auto a = rig->connect_live(anna);
    rig->log.hold_reads = true;
    const auto events = rig->log.append_some(chat, 3);
    rig->publish({events[2]});
    rig->log.look(rig->log.reads);
    rig->write(chat);
    EXPECT_TRUE(a.seqs(chat).empty());
    rig->log.answer(rig->log.reads);
    rig->settle();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 4, 5}));
    EXPECT_EQ(rig->log.reads_asked, 1);
}

TEST_F(HubDelivery, a_gap_longer_than_a_page_is_read_in_pages) {
    start({kAtOnce, kNever, kAtOnce, kAtOnce}, queue_of(5'000));
    auto a = rig->connect_live(anna);
    const auto events = rig->log.append_some(chat, 1'700);
    rig->publish({events.back()});
    ASSERT_EQ(a.seqs(chat).size(), 1'700U);
    EXPECT_TRUE(std::ranges::is_sorted(a.seqs(chat)));
    EXPECT_EQ(rig->log.reads_asked, 4);
}

TEST_F(HubDelivery, more_waits_than_a_channel_keeps) {
    start({kAtOnce, kNever, kAtOnce, kAtOnce}, queue_of(5'000));
    auto a = rig->connect_live(anna);
    rig->log.hold_reads = true;
    const auto events = rig->log.append_some(chat, 3'000);
    rig->publish({events.begin() + 1, events.end()});
    ASSERT_EQ(rig->log.reads.size(), 1U);
    rig->log.hold_reads = false;
    rig->log.answer(rig->log.reads);
    rig->settle();
    EXPECT_EQ(a.seqs(chat).size(), 3'000U) << "what was not kept was read";
    EXPECT_TRUE(std::ranges::is_sorted(a.seqs(chat)));
}

TEST_F(HubDelivery, a_read_that_fails_is_made_again) {
    start({kAtOnce, kNever, kAtOnce, kAtOnce});
    auto a = rig->connect_live(anna);
    rig->log.hold_reads = true;
    rig->publish({rig->log.append_some(chat, 2)[1]});
    rig->log.fail(rig->log.reads);
    rig->settle();
    EXPECT_TRUE(a.seqs(chat).empty());
    ASSERT_EQ(rig->log.reads.size(), 1U);
    rig->log.answer(rig->log.reads);
    rig->settle();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
}

TEST_F(HubDelivery, a_read_that_fails_in_another_way_is_made_again) {
    start({kAtOnce, kNever, kAtOnce, kAtOnce});
    auto a = rig->connect_live(anna);
    rig->log.hold_reads = true;
    rig->publish({rig->log.append_some(chat, 2)[1]});
    rig->log.fail(rig->log.reads, std::make_exception_ptr(std::runtime_error("sql error XX000")));
    rig->settle();
    ASSERT_EQ(rig->log.reads.size(), 1U);
    rig->log.answer(rig->log.reads);
    rig->settle();
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
}

TEST_F(HubDelivery, who_joins_gets_that_event_and_what_follows) {
    auto c = rig->connect_live(cleo);
    rig->write(chat);
    rig->publish({rig->log.append(chat, joins({cleo}))});  // the first here
    rig->write(chat);
    EXPECT_EQ(c.seqs(chat), (Seqs{3, 4}));
    EXPECT_TRUE(rig->hub.connected() == 1 && c.session->hub.chats == std::vector{chat});

    auto a = rig->connect_live(anna);
    rig->publish({rig->log.append(other, joins({anna}))});
    rig->publish({rig->log.append(other, joins({cleo}))});  // beside another
    rig->write(other);
    EXPECT_EQ(a.seqs(other), (Seqs{1, 2, 3}));
    EXPECT_EQ(c.seqs(other), (Seqs{2, 3}));
}

TEST_F(HubDelivery, who_leaves_gets_that_event_and_nothing_after) {
    auto a = rig->connect_live(anna), a2 = rig->connect_live(anna), b = rig->connect_live(ben);
    const auto before = rig->log.append(chat);
    const auto last = rig->log.append(chat, leaves({anna}));
    const auto after = rig->log.append(chat);
    rig->publish({after, last, before});
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
    EXPECT_EQ(a2.seqs(chat), (Seqs{2, 3}));
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4}));
    {
        const async::IoThreads::Acting here(0);
        EXPECT_FALSE(rig->hub.subscribed(*a.session, chat));
        EXPECT_TRUE(rig->hub.subscribed(*b.session, chat));
    }
    // The last one goes, then one comes back.
    rig->publish({rig->log.append(chat, leaves({ben}))});
    rig->write(chat);
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4, 5}));
    rig->publish({rig->log.append(chat, joins({anna}))});
    rig->write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3, 7, 8}));
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3, 4, 5}));
}

TEST_F(HubDelivery, the_sending_session_gets_no_event) {
    auto a = rig->connect_live(anna), phone = rig->connect_live(anna), b = rig->connect_live(ben);
    rig->publish({rig->log.append(chat, sent_by(a.session->socket_id()))});
    rig->write(chat);
    EXPECT_EQ(a.seqs(chat), Seqs{3});
    EXPECT_EQ(phone.seqs(chat), (Seqs{2, 3})) << "the sender's other devices do";
    EXPECT_EQ(b.seqs(chat), (Seqs{2, 3}));
}

TEST_F(HubDelivery, who_has_come_back_on_another_socket_has_no_ack_and_gets_the_event) {
    const auto device = base::DeviceId::make();
    const auto session = SessionId::make();
    auto old = rig->connect_live(anna, device, session);
    const auto socket = old.session->socket_id();
    auto again = rig->connect_live(anna, device, session);
    EXPECT_EQ(old.closed(), 4409U);
    rig->publish({rig->log.append(chat, sent_by(socket))});
    EXPECT_EQ(again.seqs(chat), Seqs{2});
}

TEST_F(HubDelivery, what_is_ephemeral_goes_to_who_is_there) {
    auto a = rig->connect_live(anna), phone = rig->connect_live(anna), b = rig->connect_live(ben),
         held = rig->connect(ben), c = rig->connect_live(cleo);
    rig->hub.send_to_chat(chat, make_frame(R"({"type":"typing"})"), anna);
    rig->settle();
    EXPECT_EQ(b.count("typing"), 1U);
    EXPECT_EQ(a.count("typing") + phone.count("typing") + held.count("typing") + c.count("typing"), 0U);

    rig->hub.send_latest({of(a), of(c), of(held)}, ben, make_frame(R"({"type":"presence"})"));
    rig->settle();
    EXPECT_EQ(a.count("presence"), 1U);
    EXPECT_EQ(phone.count("presence"), 0U) << "another session of the same person";
    EXPECT_EQ(held.count("presence"), 1U) << "what is known now needs no catching up";
    EXPECT_EQ(c.count("presence"), 1U);
    EXPECT_EQ(b.count("presence"), 0U);
}

TEST_F(HubDelivery, what_is_to_be_known_goes_to_the_sessions_wherever_they_are) {
    start({kNever, kNever, kAtOnce, kAtOnce}, {}, 2);
    auto a = rig->connect_live(anna, base::DeviceId::make(), SessionId::make(), 0);
    auto phone = rig->connect_live(anna, base::DeviceId::make(), SessionId::make(), 1);
    auto beside = rig->connect_live(anna, base::DeviceId::make(), SessionId::make(), 1);
    rig->hub.send_latest({of(a), of(phone), {ben, beside.caller.session}, {cleo, SessionId::make()}}, ben,
                         make_frame(R"({"type":"presence"})"));
    rig->settle();
    EXPECT_EQ(a.count("presence"), 1U);
    EXPECT_EQ(phone.count("presence"), 1U);
    EXPECT_EQ(beside.count("presence"), 0U) << "a session is one of its own user";
}

// -- the end

TEST_F(HubDelivery, a_closed_session_gets_its_code_and_nothing_more) {
    auto a = rig->connect_live(anna), b = rig->connect_live(ben), held = rig->connect(anna);
    rig->hub.close_session(a.caller.session, CloseCode::unauthenticated, "revoked");
    rig->hub.close_session(held.caller.session, CloseCode::unauthenticated, "revoked");
    rig->publish(rig->log.append_some(chat, 1));
    EXPECT_EQ(a.closed(), 4401U);
    EXPECT_EQ(held.closed(), 4401U);
    EXPECT_TRUE(a.seqs(chat).empty());
    EXPECT_FALSE(b.closed());
    EXPECT_EQ(b.seqs(chat), Seqs{2});
    EXPECT_EQ(rig->hub.connected(), 1U);
}

TEST_F(HubDelivery, a_peer_that_hangs_up_is_forgotten) {
    auto a = rig->connect_live(anna), held = rig->connect(anna);
    a.peer->hang_up();
    held.peer->hang_up();
    rig->settle();
    EXPECT_EQ(rig->hub.connected(), 0U);
    EXPECT_EQ(rig->endpoint.sockets(), 0U);
    rig->write(chat);
    EXPECT_TRUE(a.seqs(chat).empty());
}

TEST_F(HubDelivery, a_newer_connection_of_the_device_replaces_the_older) {
    start({kNever, kNever, kAtOnce, kAtOnce}, {}, 2);
    const auto phone = base::DeviceId::make();
    auto first = rig->connect_live(anna, phone), laptop = rig->connect_live(anna);
    auto foreign = rig->connect_live(ben, phone);
    auto second = rig->connect_live(anna, phone);
    EXPECT_EQ(first.closed(), 4409U);
    auto third = rig->connect(anna, phone, SessionId::make(), 1);
    EXPECT_EQ(second.closed(), 4409U) << "on another thread, and before the newer one is live";
    auto fourth = rig->connect_live(anna, phone, SessionId::make(), 0);
    EXPECT_EQ(third.closed(), 4409U);
    EXPECT_FALSE(fourth.closed() || laptop.closed() || foreign.closed());
    rig->write(chat);
    EXPECT_EQ(fourth.seqs(chat), Seqs{2});
    EXPECT_TRUE(second.seqs(chat).empty());
}

TEST_F(HubDelivery, all_threads_deliver) {
    start({kNever, kNever, kAtOnce, kAtOnce}, {}, 3);
    auto a = rig->connect_live(anna, base::DeviceId::make(), SessionId::make(), 0);
    auto b = rig->connect_live(ben, base::DeviceId::make(), SessionId::make(), 1);
    auto c = rig->connect_live(anna, base::DeviceId::make(), SessionId::make(), 2);
    rig->publish({rig->log.append(chat, sent_by(b.session->socket_id()))});
    rig->write(chat);
    EXPECT_EQ(a.seqs(chat), (Seqs{2, 3}));
    EXPECT_EQ(b.seqs(chat), Seqs{3});
    EXPECT_EQ(c.seqs(chat), (Seqs{2, 3}));
    rig->hub.close_session(c.caller.session, CloseCode::unauthenticated, "revoked");
    rig->settle();
    EXPECT_EQ(c.closed(), 4401U);
    EXPECT_EQ(rig->hub.connected(), 2U);
}

// -- slow readers

TEST_F(HubDelivery, a_peer_that_does_not_answer_a_close_frame_is_cut_off) {
    start({kNever, kNever, kNever, kNever});
    auto a = rig->connect_live(anna);
    {
        const async::IoThreads::Acting here(0);
        a.session->close(CloseCode::restart, "");
    }
    rig->settle();
    ASSERT_EQ(a.closed(), 1012U);
    EXPECT_FALSE(a.peer->ended) << "it may still answer";
    EXPECT_TRUE(rig->turn_until([&] { return a.peer->ended; }));
}

TEST_F(HubDelivery, a_slow_reader_is_cut_off_at_the_end_not_in_the_middle) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(100));
    for (const std::size_t room :
         {0U, 1U, 30U, 1'000U}) {  // nothing, a part, some frames taken after the stop
        auto a = rig->connect_live(anna), b = rig->connect_live(ben);
        a.peer->take(0);
        const auto first = static_cast<std::int64_t>(rig->log.entries(chat).size()) + 1;
        if (room > 0) {
            rig->write(chat);
            a.peer->take(room);
            rig->settle();
            a.peer->take(0);
        }
        for (int i = 0; i < 99; ++i)
            rig->write(chat);
        EXPECT_EQ(rig->hub.connected(), 2U) << "within the bound";
        for (int i = 0; i < 21; ++i)
            rig->write(chat);
        EXPECT_EQ(rig->hub.connected(), 1U) << "its subscriptions are gone, the other's are not";
        a.peer->take(SIZE_MAX);
        rig->settle();
        EXPECT_EQ(a.closed(), 4408U) << room;
        EXPECT_FALSE(a.peer->ended) << "its answer is waited for";
        a.peer->say(client_frame(kClose, "\x11\x38"));
        rig->settle();
        EXPECT_TRUE(a.peer->ended);
        const auto got = a.seqs(chat);
        for (std::size_t i = 0; i < got.size(); ++i)
            EXPECT_EQ(got[i], first + static_cast<std::int64_t>(i)) << "a beginning without holes";
        EXPECT_LT(got.size(), 120U);
        EXPECT_EQ(b.seqs(chat).size(), room > 0 ? 121U : 120U);
        b.peer->hang_up();
        rig->settle();
    }
}

TEST_F(HubDelivery, a_slow_reader_finds_the_close_frame_when_it_reads_again) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna), b = rig->connect_live(ben);
    a.peer->take(0);
    for (int i = 0; i < 12; ++i)
        rig->write(chat);
    ASSERT_EQ(rig->hub.connected(), 1U);
    {  // closed later, and cut off for its silence: then a second and a tick have passed
        const async::IoThreads::Acting here(0);
        b.session->close(CloseCode::restart, "");
    }
    ASSERT_TRUE(rig->turn_until([&] { return b.peer->ended; }));
    EXPECT_FALSE(a.peer->ended);
    a.peer->take(SIZE_MAX);
    rig->settle();
    EXPECT_EQ(a.closed(), 4408U);
    EXPECT_TRUE(rig->turn_until([&] { return a.peer->ended; })) << "its answer is waited for, but not long";
}

TEST_F(HubDelivery, bytes_are_bounded_too) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(1'000'000, 5'000));
    auto a = rig->connect_live(anna);
    a.peer->take(0);
    for (int i = 0; i < 100 && rig->hub.connected() > 0; ++i)
        rig->write(chat);
    EXPECT_EQ(rig->hub.connected(), 0U);
    a.peer->take(SIZE_MAX);
    rig->settle();
    EXPECT_EQ(a.closed(), 4408U);
}

TEST_F(HubDelivery, one_burst_over_the_bound_is_written_when_the_socket_takes_it) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna);
    rig->write(chat, 500);
    EXPECT_EQ(a.seqs(chat).size(), 500U);
    EXPECT_FALSE(a.closed());
}

TEST_F(HubDelivery, a_slow_reader_misses_only_what_is_ephemeral) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna);
    a.peer->take(0);
    for (int i = 0; i < 100; ++i)
        rig->hub.send_to_chat(chat, make_frame(R"({"type":"typing"})"), ben);
    rig->write(chat);
    EXPECT_EQ(rig->hub.connected(), 1U);
    a.peer->take(SIZE_MAX);
    rig->settle();
    EXPECT_GT(a.count("typing"), 0U);
    EXPECT_LT(a.count("typing"), 10U);
    EXPECT_EQ(a.seqs(chat), Seqs{2});
}

TEST_F(HubDelivery, a_burst_of_what_is_to_be_known_of_many_comes_whole) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna);
    for (int i = 0; i < 500; ++i)
        rig->hub.send_latest({of(a)}, UserId::make(), make_frame(R"({"type":"presence"})"));
    rig->settle();
    EXPECT_EQ(a.count("presence"), 500U);
    EXPECT_FALSE(a.closed());
}

TEST_F(HubDelivery, a_slow_reader_gets_the_last_of_what_is_to_be_known_of_each) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna);
    const std::map<UserId, ChatId> people{{ben, ChatId::make()}, {cleo, ChatId::make()}};
    const auto tell = [&](UserId about, int n) {
        rig->hub.send_latest({of(a)}, about,
                             make_frame(R"({"type":"message","chat_id":")" + people.at(about).text() +
                                        R"(","seq":)" + std::to_string(n) + "}"));
        rig->settle();
    };
    a.peer->take(0);
    for (int n = 1; n <= 20; ++n)
        for (const auto about : {ben, cleo})
            tell(about, n);
    rig->write(chat);
    a.peer->take(SIZE_MAX);
    rig->settle();
    for (const auto& [about, told] : people) {
        const auto seqs = a.seqs(told);
        EXPECT_LT(seqs.size(), 20U);
        EXPECT_TRUE(std::ranges::is_sorted(seqs));
        EXPECT_EQ(seqs.back(), 20);
    }
    EXPECT_EQ(a.seqs(chat), Seqs{2});
    tell(ben, 21);
    EXPECT_EQ(a.seqs(people.at(ben)).back(), 21) << "nothing waits any more";
}

TEST_F(HubDelivery, what_is_said_in_another_way_is_not_said_after_it) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna);
    a.peer->take(0);
    const auto told = ChatId::make();
    for (int n = 1; n <= 20; ++n)
        rig->hub.send_latest({of(a)}, ben,
                             make_frame(R"({"type":"message","chat_id":")" + told.text() + R"(","seq":)" +
                                        std::to_string(n) + "}"));
    rig->settle();
    a.session->forget_latest(ben);
    a.peer->take(SIZE_MAX);
    rig->settle();
    ASSERT_FALSE(a.seqs(told).empty());
    EXPECT_LT(a.seqs(told).back(), 20);
}

TEST_F(HubDelivery, who_reads_nothing_is_closed_before_too_much_is_kept_for_them) {
    start({kNever, kNever, kAtOnce, kAtOnce}, queue_of(10));
    auto a = rig->connect_live(anna);
    a.peer->take(0);
    for (std::size_t i = 0; i < Session::kMaxLatest; ++i)
        rig->hub.send_latest({of(a)}, UserId::make(), make_frame(R"({"type":"presence"})"));
    rig->settle();
    EXPECT_EQ(rig->hub.connected(), 1U);
    for (int i = 0; i < 20; ++i)
        rig->hub.send_latest({of(a)}, UserId::make(), make_frame(R"({"type":"presence"})"));
    rig->settle();
    EXPECT_EQ(rig->hub.connected(), 0U);
    a.peer->take(SIZE_MAX);
    rig->settle();
    EXPECT_EQ(a.closed(), 4408U);
}

}  // namespace
}  // namespace supd::ws
