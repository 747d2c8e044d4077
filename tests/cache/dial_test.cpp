// How far an attempt to reach Redis comes, what is said about it, and that it ends in time.
#include "fake_server.hpp"

#include <supd/async/io_threads.hpp>
#include <supd/cache/client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <cache/dial.hpp>
#include <gtest/gtest.h>
#include <netdb.h>

#include <atomic>
#include <optional>

namespace {
std::atomic<int> lookups{0};
std::atomic<bool> released{false};
}  // namespace

// No name server answers before `released`; then the name is not known.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
    ++lookups;
    released.wait(false);
    return EAI_NONAME;
}

namespace supd::cache {
namespace {

class DialTest : public testing::Test {
protected:
    DialTest() { released = true; }
    ~DialTest() override { release(); }
    static void release() {
        released = true;
        released.notify_all();
    }
    static Dialled dialled(async::IoThreads& io, const Endpoint& to,
                           const std::shared_ptr<const net::TlsClient>& tls = nullptr) {
        auto future = asio::co_spawn(io.context(0), dial(io.context(0), to, tls, 300ms), asio::use_future);
        if (future.wait_for(10s) != std::future_status::ready) throw std::runtime_error("it hangs");
        return future.get();
    }
    // The lines of a client's first attempts.
    static std::string lines(const FakeServer& server, const std::string& url) {
        testing::internal::CaptureStderr();
        async::IoThreads io{1};
        io.start();
        Settings settings;
        settings.url = parse_url(url);
        Client client(io.context(0), settings);
        client.start();
        EXPECT_TRUE(comes([&] { return server.accepted >= 3; }));
        client.stop();
        io.join();
        return testing::internal::GetCapturedStderr();
    }
    static bool has(const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    }
};

TEST_F(DialTest, name_servers_that_do_not_answer_hold_nobody_longer_than_the_limit) {
    released = false;
    async::IoThreads io{1};
    io.start();
    const auto before = lookups.load();
    const auto out = dialled(io, {"redis.test", 6379});
    EXPECT_FALSE(out.stream);
    EXPECT_STREQ(out.trouble.stage, "resolve");
    EXPECT_EQ(lookups, before + 1);

    Settings settings;
    settings.url = parse_url("redis://redis.test");
    settings.limits.connect = 60s;
    Client client(io.context(0), settings);
    client.start();
    const auto begun = base::Monotonic::now();
    client.stop();
    EXPECT_LT(base::Monotonic::now() - begun, 5s) << "the lookup goes on, its client does not";
    release();
    io.join();
}

TEST_F(DialTest, a_lookup_that_ends_after_the_loop_touches_nothing_that_is_gone) {
    released = false;
    std::optional<async::IoThreads> io(1);
    io->start();
    const auto before = lookups.load();
    auto future = asio::co_spawn(io->context(0), dial(io->context(0), {"redis.test", 1}, nullptr, 60s),
                                 asio::use_future);
    ASSERT_TRUE(comes([&] { return lookups > before; }));
    io->stop();
    release();
    io.reset();
    EXPECT_THROW(future.get(), std::future_error);
}

TEST_F(DialTest, says_how_far_it_came) {
    async::IoThreads io{1};
    io.start();
    const auto unknown = dialled(io, {"redis.test", 6379});
    EXPECT_STREQ(unknown.trouble.stage, "resolve");
    EXPECT_TRUE(has(unknown.trouble.reason, "not found")) << unknown.trouble.reason;
    const auto refused = dialled(io, {"127.0.0.1", 1});
    EXPECT_STREQ(refused.trouble.stage, "connect");
    EXPECT_EQ(refused.trouble.reason, "Connection refused");

    FakeServer plain;
    auto sealed = dialled(io, {"127.0.0.1", plain.port}, std::make_shared<net::TlsClient>(""));
    ASSERT_TRUE(sealed.stream);
    auto future = asio::co_spawn(io.context(0), converse(sealed.stream, {{"PING"}}, 2s), asio::use_future);
    const auto said = future.get();
    EXPECT_TRUE(said.replies.empty());
    EXPECT_STREQ(said.trouble.stage, "tls") << said.trouble.reason;
    EXPECT_FALSE(said.trouble.reason.empty());
    // A stream ends on its own thread.
    asio::post(io.context(0), [stream = std::exchange(sealed.stream, nullptr)] { stream->close(); });
    io.join();
}

TEST_F(DialTest, the_log_has_the_stage_and_the_reason_and_no_secret) {
    FakeServer server([](const Words& words) -> std::string {
        return words[0] == "AUTH" ? "-WRONGPASS of " + words[1] + "\r\n" : "-NOAUTH\r\n";
    });
    const auto at = "127.0.0.1:" + std::to_string(server.port);
    auto text = lines(server, "redis://:of-redis@" + at);
    EXPECT_TRUE(has(text, R"("operation":"sign_in","reason":"WRONGPASS")")) << text;
    EXPECT_FALSE(has(text, "of-redis"));

    FakeServer sentinel([](const Words& words) -> std::string {
        return words[0] == "AUTH" ? "-WRONGPASS of " + words[1] + "\r\n" : "-NOAUTH\r\n";
    });
    text = lines(sentinel, "redis+sentinel://127.0.0.1:" + std::to_string(sentinel.port) +
                               "/main?sentinel_password=of-sentinels");
    EXPECT_TRUE(has(text, R"("operation":"sentinel","reason":"refused: WRONGPASS")")) << text;
    EXPECT_FALSE(has(text, "of-sentinels"));

    FakeServer replica([&](const Words& words) -> std::string {
        if (words[0] == "SENTINEL") return list_of({"127.0.0.1", std::to_string(replica.port)});
        return "*1\r\n$5\r\nslave\r\n";
    });
    text = lines(replica, "redis+sentinel://127.0.0.1:" + std::to_string(replica.port) + "/main");
    EXPECT_TRUE(has(text, R"("operation":"role")")) << text;
}

}  // namespace
}  // namespace supd::cache
