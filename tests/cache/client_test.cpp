// The breaker by itself, and the client against a server that answers, is silent, or goes.
#include <supd/async/io_threads.hpp>
#include <supd/base/clock.hpp>
#include <supd/cache/client.hpp>
#include <supd/cache/subscriber.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

namespace supd::cache {
namespace {

using namespace std::chrono_literals;

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
    EXPECT_EQ(breaker.failed(), 100ms);
    EXPECT_EQ(breaker.state(), Breaker::State::open);
}

// Answers +PONG to each command while `answers`; hears and says nothing else otherwise.
class FakeServer {
public:
    FakeServer() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
        EXPECT_EQ(::listen(listener_, 16), 0);
        EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
        port = ntohs(at.sin_port);
        thread_ = std::thread([this] { turn(); });
    }
    ~FakeServer() {
        over_ = true;
        thread_.join();
        cut();
        ::close(listener_);
    }

    std::atomic<bool> answers{true};
    std::atomic<bool> cut_all{false};
    std::atomic<int> accepted{0};
    std::uint16_t port = 0;

private:
    void cut() {
        for (const int fd : clients_)
            ::close(fd);
        clients_.clear();
    }
    void turn() {
        while (!over_) {
            if (cut_all.exchange(false)) cut();
            std::vector<pollfd> all{{listener_, POLLIN, 0}};
            for (const int fd : clients_)
                all.push_back({fd, POLLIN, 0});
            if (::poll(all.data(), all.size(), 5) <= 0) continue;
            if (all[0].revents != 0) {
                clients_.push_back(::accept(listener_, nullptr, nullptr));
                ++accepted;
            }
            for (std::size_t i = 1; i < all.size(); ++i) {
                if (all[i].revents == 0 || !answers) continue;
                char buffer[65536];
                const auto got = ::recv(all[i].fd, buffer, sizeof buffer, MSG_DONTWAIT);
                for (ssize_t at = 0; at < got; ++at)
                    if (buffer[at] == '*') (void)!::send(all[i].fd, "+PONG\r\n", 7, MSG_NOSIGNAL);
                if (got <= 0) {
                    ::close(all[i].fd);
                    std::erase(clients_, all[i].fd);
                    break;
                }
            }
        }
    }

    int listener_;
    std::vector<int> clients_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

class ClientTest : public testing::Test {
protected:
    ClientTest() { io.start(); }
    ~ClientTest() override {
        if (client) client->stop();
        io.join();
    }
    void start() {
        Settings settings;
        settings.url = parse_url("redis://127.0.0.1:" + std::to_string(server.port));
        settings.limits = limits;
        client.emplace(io.context(0), settings);
        client->start();
    }
    static bool comes(const std::function<bool()>& what, std::chrono::milliseconds patience = 10s) {
        const auto until = base::Monotonic::now() + patience;
        while (!what()) {
            if (base::Monotonic::now() > until) return false;
            std::this_thread::yield();
        }
        return true;
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

TEST_F(ClientTest, a_subscription_without_a_word_is_made_again) {
    limits.ping = 100ms;
    limits.tick = 20ms;
    limits.connect = 500ms;
    start();
    Subscriber subscriber(*client, [](std::string_view, std::string_view) {});
    subscriber.want("c");
    subscriber.start();
    ASSERT_TRUE(comes([&] { return server.accepted == 2 && client->up(); }));
    server.answers = false;
    ASSERT_TRUE(comes([&] { return !client->up(); }));
    server.answers = true;
    ASSERT_TRUE(comes([&] { return server.accepted >= 4 && client->up(); }));
    EXPECT_EQ(subscriber.wanted(), 1U);
    subscriber.stop();
}

}  // namespace
}  // namespace supd::cache
