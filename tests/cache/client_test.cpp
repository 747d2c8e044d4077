// The breaker by itself, and the client against a server that answers, is silent, or goes.
#include "fake_server.hpp"

#include <supd/async/io_threads.hpp>
#include <supd/base/clock.hpp>
#include <supd/cache/client.hpp>
#include <supd/cache/subscriber.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace supd::cache {
namespace {

TEST(Breaker, pauses_double_up_to_the_most_and_are_spread) {
    double chance = 1;
    Breaker breaker({100ms, 1000ms}, [&] { return chance; });
    EXPECT_FALSE(breaker.closed());
    EXPECT_EQ(breaker.failed(), 100ms);
    EXPECT_EQ(breaker.failed(), 200ms);
    chance = 0;
    EXPECT_EQ(breaker.failed(), 200ms) << "half of 400";
    chance = 1;
    EXPECT_EQ(breaker.failed(), 800ms);
    EXPECT_EQ(breaker.failed(), 1000ms);
    EXPECT_EQ(breaker.failed(), 1000ms);
    breaker.trying();
    EXPECT_EQ(breaker.state(), Breaker::State::half_open);
    EXPECT_FALSE(breaker.closed());
    breaker.succeeded();
    EXPECT_TRUE(breaker.closed());
    EXPECT_EQ(breaker.failed(), 1000ms) << "a sign-in alone proves nothing";
    EXPECT_EQ(breaker.state(), Breaker::State::open);
    breaker.succeeded();
    breaker.settled();
    EXPECT_TRUE(breaker.closed());
    EXPECT_EQ(breaker.failed(), 100ms);
}

class ClientTest : public testing::Test {
protected:
    ClientTest() { io.start(); }
    ~ClientTest() override {
        if (client) client->stop();
        io.join();
    }
    void start() { start(server.port); }
    void start(std::uint16_t port) {
        Settings settings;
        settings.url = parse_url("redis://127.0.0.1:" + std::to_string(port));
        settings.limits = limits;
        client.emplace(io.context(0), settings);
        client->start();
    }
    Failure outcome(const Words& words = {"PING"}) {
        auto told = std::make_shared<std::promise<Failure>>();
        auto future = told->get_future();
        client->send("k", words, [told](const Answer& answer) { told->set_value(answer.failure); });
        if (future.wait_for(10s) != std::future_status::ready) throw std::runtime_error("no outcome");
        return future.get();
    }

    FakeServer server;
    async::IoThreads io{1};
    Limits limits;
    std::optional<Client> client;
};

TEST_F(ClientTest, is_up_once_signed_in_and_answers) {
    start();
    ASSERT_TRUE(comes([&] { return client->up(); }));
    EXPECT_EQ(outcome(), Failure::none);
    EXPECT_GE(client->counters().commands.load(), 1U);
}

TEST_F(ClientTest, a_silent_server_opens_the_breaker_within_a_second) {
    start();
    ASSERT_TRUE(comes([&] { return client->up(); }));
    server.answers = false;
    const auto begun = base::Monotonic::now();
    EXPECT_EQ(outcome(), Failure::lost);
    EXPECT_LT(base::Monotonic::now() - begun, 1s + 500ms);  // a busy machine gets half a second more
    EXPECT_FALSE(client->up());
    const auto open = base::Monotonic::now();
    EXPECT_EQ(outcome(), Failure::unavailable);
    EXPECT_LT(base::Monotonic::now() - open, 100ms) << "fails at once";
    EXPECT_GE(client->counters().dropped.load(), 1U);
    server.answers = true;
    ASSERT_TRUE(comes([&] { return client->up(); }));
    EXPECT_EQ(outcome(), Failure::none);
}

TEST_F(ClientTest, a_cut_connection_is_made_again) {
    start();
    ASSERT_TRUE(comes([&] { return client->up(); }));
    const int before = server.accepted;
    server.cut_all = true;
    ASSERT_TRUE(comes([&] { return server.accepted > before && client->up(); }));
    EXPECT_EQ(outcome(), Failure::none);
}

TEST_F(ClientTest, a_server_that_takes_the_sign_in_and_then_drops_it_is_left_alone_for_longer_each_time) {
    server.cut_after_answer = true;
    const auto begun = base::Monotonic::now();
    start();
    ASSERT_TRUE(comes([&] { return server.accepted >= 6; }));
    EXPECT_GE(base::Monotonic::now() - begun, 775ms) << "half of 50, 100, 200, 400 and 800";
    server.cut_after_answer = false;
    ASSERT_TRUE(comes([&] { return client->up(); }));
}

TEST_F(ClientTest, a_link_that_lived_long_enough_is_made_again_at_once) {
    limits.back_off.first = 1ms;
    limits.back_off.most = 60s;
    limits.settled = 50ms;
    limits.tick = 10ms;
    start();
    // Doubled each time, the last pauses would be a minute.
    for (int losses = 0; losses < 20; ++losses) {
        ASSERT_TRUE(comes([&] { return client->up(); }));
        const auto until = base::Monotonic::now() + 100ms;
        ASSERT_TRUE(comes([&] { return base::Monotonic::now() > until; }));
        const int before = server.accepted;
        server.cut_all = true;
        ASSERT_TRUE(comes([&] { return server.accepted > before; }));
    }
}

TEST_F(ClientTest, what_waits_is_bounded) {
    limits.waiting_commands = 10;
    limits.command = 5s;
    start();
    ASSERT_TRUE(comes([&] { return client->up(); }));
    server.answers = false;
    std::atomic<int> refused{0}, lost{0};
    for (int i = 0; i < 25; ++i)
        client->send("k", {"PING"}, [&](const Answer& answer) {
            ++(answer.failure == Failure::unavailable ? refused : lost);
        });
    EXPECT_GE(refused.load(), 14) << "a ping of the client's own may be one of the ten";
    client->stop();
    EXPECT_EQ(refused + lost, 25) << "what waits at the end is told";
    client.reset();
}

TEST_F(ClientTest, a_message_that_is_refused_is_untold_and_not_published) {
    limits.waiting_commands = 10;
    limits.command = 5s;
    start();
    ASSERT_TRUE(comes([&] { return client->up(); }));
    server.answers = false;
    const auto published = client->counters().published.load(), untold = client->counters().untold.load();
    unsigned taken = 0;
    for (int i = 0; i < 25; ++i)
        if (client->publish("c", "m")) ++taken;
    EXPECT_LE(taken, 10U);
    EXPECT_GE(taken, 9U) << "a ping of the client's own may be one of the ten";
    EXPECT_EQ(client->counters().untold, untold + 25 - taken);
    ASSERT_TRUE(comes([&] { return client->counters().published == published + taken; }));
    client->stop();
    EXPECT_FALSE(client->publish("c", "afterwards"));
    EXPECT_EQ(client->counters().published, published + taken);
    EXPECT_EQ(client->counters().untold, untold + 26 - taken);
    client.reset();
}

TEST_F(ClientTest, a_subscription_without_a_word_is_made_again) {
    FakeServer speaking(
        [](const Words& words) { return words[0] == "SUBSCRIBE" ? confirmed(words) : "+PONG\r\n"; });
    limits.ping = 100ms;
    limits.tick = 20ms;
    limits.connect = 500ms;
    start(speaking.port);
    Subscriber subscriber(*client, [](std::string_view, std::string_view) {});
    subscriber.want("c");
    subscriber.start();
    ASSERT_TRUE(comes([&] { return subscriber.subscribed() == 1; }));
    speaking.answers = false;
    ASSERT_TRUE(comes([&] { return subscriber.subscribed() == 0; }));
    speaking.answers = true;
    ASSERT_TRUE(comes([&] { return subscriber.subscribed() == 1; }));
    EXPECT_EQ(subscriber.wanted(), 1U);
    subscriber.stop();
}

}  // namespace
}  // namespace supd::cache
