// The hub on threads that run by themselves: publishers on other threads, sessions on each.
#include "hub_rig.hpp"

#include <future>
#include <thread>

namespace supd::ws {
namespace {

using namespace testing_;

TEST(HubThreads, many_publishers_one_order) {
    constexpr std::size_t kThreads = 3, kPublishers = 3, kEntries = 900;
    Rig rig({kNever, kNever, kAtOnce, kNever}, queue_of(10'000, 1 << 24), kThreads);
    const auto anna = UserId::make(), ben = UserId::make();
    const auto chat = ChatId::make(), other = ChatId::make();
    rig.log.append(chat, joins({anna, ben}));
    rig.log.append(other, joins({anna}));

    std::vector<Client> clients;
    for (std::size_t i = 0; i < 2 * kThreads; ++i)
        clients.push_back(rig.connect_live(i % 2 == 0 ? anna : ben, base::DeviceId::make(), SessionId::make(),
                                           i % kThreads));
    while (!rig.log.sweeps.empty()) {
        rig.log.answer(rig.log.sweeps);
        rig.settle();
    }

    // Entry i is told by publisher i % 3, so that they overtake each other.
    const auto events = rig.log.append_some(chat, kEntries), more = rig.log.append_some(other, kEntries);
    std::vector<std::future<void>> got_all;
    for (auto& client : clients) {
        std::size_t expected = client.peer->got.size();
        for (const auto& event : events)
            expected += event.frame->wire(false).size();
        if (client.caller.user == anna)
            for (const auto& event : more)
                expected += event.frame->wire(false).size();
        auto done = std::make_shared<std::promise<void>>();
        got_all.push_back(done->get_future());
        client.peer->on_bytes = [done, expected, peer = client.peer.get()] {
            if (peer->got.size() == expected) done->set_value();
        };
    }
    rig.let_run();
    std::vector<std::thread> publishers;
    for (std::size_t p = 0; p < kPublishers; ++p)
        publishers.emplace_back([&, p] {
            for (std::size_t i = p; i < kEntries; i += kPublishers)
                rig.hub.publish({events[i], more[i]});
        });
    for (auto& publisher : publishers)
        publisher.join();
    for (auto& got : got_all)
        ASSERT_EQ(got.wait_for(std::chrono::seconds(20)), std::future_status::ready);

    for (auto& client : clients) {
        const auto seqs = client.seqs(chat);
        EXPECT_EQ(seqs.size(), kEntries);
        EXPECT_TRUE(std::ranges::is_sorted(seqs));
        EXPECT_EQ(client.seqs(other).size(), client.caller.user == anna ? kEntries : 0);
        EXPECT_TRUE(std::ranges::is_sorted(client.seqs(other)));
    }
}

TEST(HubThreads, sessions_are_closed_from_anywhere) {
    Rig rig({kNever, kNever, kAtOnce, kNever}, {}, 2);
    const auto anna = UserId::make();
    auto first = rig.connect_live(anna, base::DeviceId::make(), SessionId::make(), 0);
    auto second = rig.connect_live(anna, base::DeviceId::make(), SessionId::make(), 1);
    std::promise<void> gone;
    second.peer->on_bytes = [&] {
        if (second.closed()) gone.set_value();
    };
    rig.let_run();
    rig.hub.close_session(second.caller.session, CloseCode::unauthenticated, "revoked");
    ASSERT_EQ(gone.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
    EXPECT_EQ(second.closed(), 4401U);
}

}  // namespace
}  // namespace supd::ws
