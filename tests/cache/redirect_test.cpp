// A cluster of fake servers: what its nodes say about who serves a slot.
#include "fake_server.hpp"

#include <supd/async/io_threads.hpp>
#include <supd/cache/client.hpp>

#include <cache/slots.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

namespace supd::cache {
namespace {

TEST(Redirects, without_a_host_mean_the_node_that_answered) {
    FakeServer owner([](const Words& words) { return words[0] == "GET" ? "+there\r\n" : "+PONG\r\n"; },
                     "127.0.0.2");
    FakeServer former(
        [&](const Words& words) -> std::string {
            if (words[0] != "GET") return "+PONG\r\n";
            return "-MOVED " + std::to_string(slot_of(words[1])) + " :" + std::to_string(owner.port) + "\r\n";
        },
        "127.0.0.2");
    FakeServer seed([&](const Words& words) -> std::string {
        if (words[0] != "CLUSTER") return "+PONG\r\n";
        return "*2\r\n" + slots_of(0, 16382, "127.0.0.2", former.port) +
               slots_of(16383, 16383, "127.0.0.2", owner.port);
    });
    Settings settings;
    settings.url = parse_url("redis+cluster://127.0.0.1:" + std::to_string(seed.port));
    async::IoThreads io{1};
    io.start();
    Client client(io.context(0), settings);
    client.start();
    ASSERT_TRUE(comes([&] { return owner.accepted >= 1 && former.accepted >= 1; }));
    ASSERT_TRUE(comes([&] {
        auto told = std::make_shared<std::promise<Answer>>();
        auto future = told->get_future();
        client.send("k", {"GET", "k"}, [told](Answer answer) { told->set_value(std::move(answer)); });
        return future.get().reply.text == "there";
    }));
    client.stop();
    io.join();
}

}  // namespace
}  // namespace supd::cache
