// Subscriptions that a server refuses, or sends elsewhere.
#include "fake_server.hpp"

#include <supd/async/io_threads.hpp>
#include <supd/cache/subscriber.hpp>

#include <cache/slots.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>

namespace supd::cache {
namespace {

class SubscriberTest : public testing::Test {
protected:
    SubscriberTest() { io.start(); }
    ~SubscriberTest() override {
        subscriber->stop();
        client->stop();
        io.join();
    }
    void start(const std::string& url) {
        Settings settings;
        settings.url = parse_url(url);
        client.emplace(io.context(0), settings);
        client->start();
        subscriber.emplace(*client, [](std::string_view, std::string_view) {});
        subscriber->start();
    }

    async::IoThreads io{1};
    std::optional<Client> client;
    std::optional<Subscriber> subscriber;
};

TEST_F(SubscriberTest, what_was_refused_is_asked_for_again) {
    std::atomic<bool> allowed{false};
    std::atomic<int> asked{0};
    FakeServer server([&](const Words& words) -> std::string {
        if (words[0] != "SUBSCRIBE") return "+PONG\r\n";
        ++asked;
        return allowed ? confirmed(words) : "-NOPERM no rights\r\n";
    });
    start("redis://127.0.0.1:" + std::to_string(server.port));
    subscriber->want("one");
    subscriber->want("two");
    ASSERT_TRUE(comes([&] { return asked >= 2; }));
    EXPECT_EQ(subscriber->subscribed(), 0U);
    allowed = true;
    ASSERT_TRUE(comes([&] { return subscriber->subscribed() == 2; }));
    EXPECT_EQ(server.accepted, 2) << "on the same two connections";
    EXPECT_LE(asked, 5) << "not as fast as the network is";
    server.cut_all = true;
    ASSERT_TRUE(comes([&] { return subscriber->subscribed() < 2; }));
    ASSERT_TRUE(comes([&] { return subscriber->subscribed() == 2; }));
}

TEST_F(SubscriberTest, a_refusal_does_not_undo_what_is_confirmed_beside_it) {
    std::atomic<int> asked{0};
    FakeServer node([&](const Words& words) -> std::string {
        if (words[0] == "CLUSTER") return "*1\r\n" + slots_of(0, 16383, "", node.port);
        if (words[0] != "SSUBSCRIBE") return "+PONG\r\n";
        if (words[1] == "unserved" && ++asked < 3) return "-CLUSTERDOWN Hash slot not served\r\n";
        return confirmed(words);
    });
    start("redis+cluster://127.0.0.1:" + std::to_string(node.port));
    for (const auto* name : {"a", "unserved", "b", "c"})
        subscriber->want(name);
    ASSERT_TRUE(comes([&] { return asked == 1 && subscriber->subscribed() == 3; }));
    ASSERT_TRUE(comes([&] { return subscriber->subscribed() == 4; }));
    EXPECT_EQ(asked, 3);
}

TEST_F(SubscriberTest, nodes_that_name_each_other_are_not_asked_at_the_speed_of_the_network) {
    std::atomic<int> asked{0}, ports[2]{};
    std::atomic<bool> settled{false};
    const auto node = [&](int me) {
        return [&, me](const Words& words) -> std::string {
            if (words[0] == "CLUSTER")
                return "*2\r\n" + slots_of(0, 16382, "", ports[0]) + slots_of(16383, 16383, "", ports[1]);
            if (words[0] != "SSUBSCRIBE") return "+PONG\r\n";
            ++asked;
            if (settled) return confirmed(words);
            return "-MOVED " + std::to_string(slot_of(words[1])) + " :" + std::to_string(ports[1 - me]) +
                   "\r\n";
        };
    };
    FakeServer one(node(0)), other(node(1));
    ports[0] = one.port;
    ports[1] = other.port;
    start("redis+cluster://127.0.0.1:" + std::to_string(one.port));
    subscriber->want("channel");
    ASSERT_TRUE(comes([&] { return asked >= 2; }));
    const auto until = base::Monotonic::now() + 1s;
    ASSERT_TRUE(comes([&] { return base::Monotonic::now() > until; }));
    EXPECT_LE(asked, 20);
    settled = true;
    ASSERT_TRUE(comes([&] { return subscriber->subscribed() == 1; }));
}

}  // namespace
}  // namespace supd::cache
