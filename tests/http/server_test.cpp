// Policies, limits, CORS, upgrades, TLS and the graceful end, over real sockets.
#include "http/loopback.hpp"

#include <supd/http/api_documents.hpp>
#include <supd/http/idempotency.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <future>
#include <map>

namespace supd::http {
namespace {

using testing_::Loopback;
using testing_::RawClient;

class OneUser final : public Authenticator {
public:
    Caller authenticate(std::string_view token) const override {
        if (token == "old") throw base::unauthenticated("token_expired", "Refresh it.");
        if (token != "good" && token != "root") throw base::unauthenticated();
        Caller out;
        out.user = user;
        out.admin = token == "root";
        return out;
    }
    base::UserId user = base::UserId::make();
};

Handler says(std::string text) {
    return [text](Request) -> asio::awaitable<Reply> {
        Reply reply = Reply::json("\"" + text + "\"");
        co_return reply;
    };
}

std::string get(std::string_view path, std::string_view headers = "") {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n";
}

TEST(Policies, WhoMayCall) {
    OneUser users;
    ServerServices services;
    services.authenticator = &users;
    Loopback loop({}, services);
    loop.router.add({"GET", "/open", Policy::open, Limit::none, "open", says("open")});
    loop.router.add({"GET", "/user", Policy::user, Limit::none, "user", says("user")});
    loop.router.add({"GET", "/admin", Policy::admin, Limit::none, "admin", says("admin")});
    loop.start();
    EXPECT_EQ(loop.ask(get("/open")).status, 200);
    EXPECT_EQ(loop.ask(get("/open", "Authorization: Bearer bad\r\n")).status, 200);
    const auto nobody = loop.ask(get("/user"));
    EXPECT_EQ(nobody.status, 401);
    EXPECT_EQ(nobody.header("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(nlohmann::json::parse(nobody.body)["code"], "unauthenticated");
    for (const auto* header :
         {"Authorization: Bearer bad\r\n", "Authorization: Basic good\r\n", "Authorization: good\r\n",
          "Authorization: Bearer\r\n", "Authorization: Bearer good\r\nAuthorization: Bearer good\r\n",
          "Cookie: token=good\r\n"})
        EXPECT_EQ(loop.ask(get("/user", header)).status, 401) << header;
    EXPECT_EQ(loop.ask(get("/user?access_token=good")).status, 401);
    EXPECT_EQ(loop.ask(get("/user", "authorization: bearer good\r\n")).status, 200);
    EXPECT_EQ(loop.ask(get("/admin", "Authorization: Bearer good\r\n")).status, 403);
    EXPECT_EQ(loop.ask(get("/admin", "Authorization: Bearer root\r\n")).status, 200);
}

TEST(Policies, RateLimitsAreToldAndKept) {
    OneUser users;
    RateLimitOptions options;
    options.auth = {1, 2};
    options.api = {1, 3};
    RateLimiter limiter(options);
    ServerServices services;
    services.authenticator = &users;
    services.limiter = &limiter;
    Loopback loop({}, services);
    loop.router.add({"GET", "/login", Policy::open, Limit::auth, "login", says("x")});
    loop.router.add({"GET", "/user", Policy::user, Limit::api, "user", says("x")});
    loop.start();
    const auto first = loop.ask(get("/login"));
    EXPECT_EQ(first.header("RateLimit-Limit"), "2");
    EXPECT_EQ(first.header("RateLimit-Remaining"), "1");
    EXPECT_EQ(first.header("RateLimit-Reset"), "60");
    EXPECT_EQ(loop.ask(get("/login")).status, 200);
    const auto refused = loop.ask(get("/login"));
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.header("Retry-After"), "60");
    EXPECT_EQ(refused.header("RateLimit-Remaining"), "0");
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(loop.ask(get("/user", "Authorization: Bearer good\r\n")).status, 200);
    EXPECT_EQ(loop.ask(get("/user", "Authorization: Bearer good\r\n")).status, 429);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(loop.ask(get("/user", "Authorization: Bearer guess\r\n")).status, 401);
    EXPECT_EQ(loop.ask(get("/user", "Authorization: Bearer guess\r\n")).status, 429)
        << "guessing tokens is counted";
    EXPECT_EQ(loop.ask(get("/nothing")).status, 429);
}

TEST(Policies, WhoComesBackIsNotCountedWithStrangers) {
    OneUser users;
    RateLimitOptions options;
    options.api = {1, 3};
    options.shared_address_factor = 4;
    RateLimiter limiter(options);
    ServerServices services;
    services.authenticator = &users;
    services.limiter = &limiter;
    Loopback loop({}, services);
    loop.router.add({"GET", "/user", Policy::user, Limit::api, "user", says("x")});
    Route refresh{"GET", "/refresh", Policy::open, Limit::api, "refresh", says("x")};
    refresh.shared = true;
    loop.router.add(std::move(refresh));
    loop.start();
    for (int i = 0; i < 4; ++i)
        loop.ask(get("/nothing"));
    EXPECT_EQ(loop.ask(get("/nothing")).status, 429) << "strangers have used theirs up";
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(loop.ask(get("/user", "Authorization: Bearer old\r\n")).status, 401);
        EXPECT_EQ(loop.ask(get("/refresh")).status, 200);
    }
    EXPECT_EQ(loop.ask(get("/refresh")).status, 429) << "the address has a bound too";
    EXPECT_EQ(loop.ask(get("/user", "Authorization: Bearer old\r\n")).status, 429);
}

TEST(Answers, SecurityHeadersAndCors) {
    ServerOptions options;
    options.cors_origins = {"https://app.example"};
    options.trusted_proxies = {net::Network::parse("127.0.0.0/8").value()};
    Loopback loop(options);
    loop.router.add({"GET", "/a", Policy::open, Limit::none, "get_a", says("a")});
    loop.router.add({"PATCH", "/a", Policy::open, Limit::none, "patch_a", says("a")});
    loop.start();
    const auto plain = loop.ask(get("/a"));
    EXPECT_EQ(plain.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(plain.header("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'");
    EXPECT_EQ(plain.header("Referrer-Policy"), "no-referrer");
    EXPECT_EQ(plain.header("Cache-Control"), "no-store");
    EXPECT_EQ(plain.header("Vary"), "Origin");
    EXPECT_EQ(plain.header("Strict-Transport-Security"), "");
    EXPECT_EQ(plain.header("Access-Control-Allow-Origin"), "");
    EXPECT_EQ(plain.header("X-Request-Id").size(), 36u);
    EXPECT_FALSE(
        loop.ask(get("/a", "X-Forwarded-Proto: https\r\n")).header("Strict-Transport-Security").empty());

    const auto known = loop.ask(get("/a", "Origin: https://app.example\r\n"));
    EXPECT_EQ(known.header("Access-Control-Allow-Origin"), "https://app.example");
    EXPECT_EQ(known.header("Access-Control-Allow-Credentials"), "");
    for (const auto* origin :
         {"https://app.example.evil", "http://app.example", "https://app.example:8443", "null"})
        EXPECT_EQ(loop.ask(get("/a", "Origin: " + std::string(origin) + "\r\n"))
                      .header("Access-Control-Allow-Origin"),
                  "");

    const std::string preflight =
        "OPTIONS /a HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: PATCH\r\nOrigin: ";
    const auto allowed = loop.ask(preflight + "https://app.example\r\n\r\n");
    EXPECT_EQ(allowed.status, 204);
    EXPECT_EQ(allowed.header("Access-Control-Allow-Methods"), "GET, HEAD, PATCH, OPTIONS");
    for (const auto* name : {"Authorization", "traceparent"})
        EXPECT_NE(allowed.header("Access-Control-Allow-Headers").find(name), std::string::npos);
    EXPECT_EQ(loop.ask(preflight + "https://evil.example\r\n\r\n").header("Access-Control-Allow-Methods"),
              "");
    const auto refused = loop.ask(get("/a", "Origin: https://app.example\r\nX-Request-Id: mine\r\n bad\r\n"));
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.header("Access-Control-Allow-Origin"), "https://app.example");
    EXPECT_EQ(refused.header("X-Request-Id"), "mine");
    EXPECT_EQ(loop.ask("OPTIONS /nothing HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
    EXPECT_EQ(loop.ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status, 204);
}

TEST(Answers, RequestIdsAreKeptWhenSane) {
    Loopback loop;
    loop.start();
    EXPECT_EQ(loop.ask(get("/", "X-Request-Id: abc-1.D_\r\n")).header("X-Request-Id"), "abc-1.D_");
    EXPECT_EQ(loop.ask(get("/", "X-Correlation-Id: corr\r\n")).header("X-Request-Id"), "corr");
    for (const auto& wild :
         {std::string("a b"), std::string(129, 'x'), std::string("\"}{"), std::string("<s>")})
        EXPECT_EQ(loop.ask(get("/", "X-Request-Id: " + wild + "\r\n")).header("X-Request-Id").size(), 36u);
}

TEST(Answers, ApiDocumentsAreJson) {
    EXPECT_TRUE(nlohmann::json::parse(openapi_json()).is_object());
    EXPECT_TRUE(nlohmann::json::parse(asyncapi_json()).is_object());
}

TEST(Upgrades, TheConnectionIsHandedOver) {
    Loopback loop;
    std::promise<std::string> got;
    loop.upgrades.emplace_back(
        "/ws", [&](Request request, std::unique_ptr<net::Stream> stream, std::string leftover) {
            const std::string text = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
            const iovec part{const_cast<char*>(text.data()), text.size()};
            EXPECT_EQ(stream->try_write({&part, 1}).bytes, text.size());
            got.set_value(leftover + "|" + std::string(request.query_value("a").value_or("")) + "|" +
                          std::string(request.header("sec-websocket-key").value_or("")));
            return 101;
        });
    loop.start();
    const std::string upgrade =
        "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: k\r\n";
    EXPECT_EQ(loop.ask(get("/ws?a=b", upgrade) + "frame").status, 101);
    EXPECT_EQ(got.get_future().get(), "frame|b|k");
    const auto plain = loop.ask(get("/ws"));
    EXPECT_EQ(plain.status, 426);
    EXPECT_EQ(plain.header("Upgrade"), "websocket");
    EXPECT_EQ(loop.ask("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status, 405);
    EXPECT_EQ(loop.ask(get("/ws2", upgrade)).status, 404);
    while (loop.server->connections() != 0)
        std::this_thread::yield();
}

class OneAnswer final : public IdempotencyStore {
public:
    asio::awaitable<IdempotencyOutcome> begin(IdempotencyClaim claim) override {
        IdempotencyOutcome out;
        const auto [body, first] = bodies.emplace(claim.key, claim.body);
        if (!first && body->second != claim.body) {
            out.state = IdempotencyOutcome::State::mismatch;
        } else if (const auto at = answers.find(claim.key); at != answers.end()) {
            out.state = IdempotencyOutcome::State::replay;
            out.answer = at->second;
        }
        co_return out;
    }
    asio::awaitable<void> finish(base::UserId, std::string key, Reply answer) override {
        answers[key] = std::move(answer);
        co_return;
    }
    asio::awaitable<void> finish_unkept(base::UserId, std::string) override { co_return; }
    std::map<std::string, Reply> answers;
    std::map<std::string, std::string> bodies;
};

TEST(Idempotency, TheHandlerRunsOncePerKey) {
    OneUser users;
    OneAnswer store;
    ServerServices services;
    services.authenticator = &users;
    services.idempotency = &store;
    Loopback loop({}, services);
    std::atomic<int> runs = 0, faults = 1;
    loop.router.add(
        {"POST", "/once", Policy::user, Limit::none, "once", [&](Request request) -> asio::awaitable<Reply> {
             if (request.body == "fail" && faults-- > 0) throw std::runtime_error("x");
             Reply reply = Reply::json(std::to_string(++runs), 201);
             co_return reply;
         }});
    loop.start();
    const auto post = [&](std::string_view key, std::string_view body) {
        return loop.ask("POST /once HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nIdempotency-Key: " +
                        std::string(key) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                        std::string(body));
    };
    EXPECT_EQ(post("k", "a").body, "1");
    const auto again = post("k", "a");
    EXPECT_EQ(again.status, 201);
    EXPECT_EQ(again.body, "1");
    EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
    const auto other = post("k", "b");
    EXPECT_EQ(other.status, 422);
    EXPECT_EQ(nlohmann::json::parse(other.body)["code"], "idempotency_mismatch");
    EXPECT_EQ(post("", "a").status, 400);
    EXPECT_EQ(post(std::string(256, 'k'), "a").status, 400);
    EXPECT_EQ(post("f", "fail").status, 500);
    EXPECT_EQ(post("f", "a").status, 422);
    EXPECT_EQ(post("f", "fail").body, "2") << "after a fault of ours it runs again";
}

TEST(Drain, CurrentRequestsEndAndIdleConnectionsClose) {
    Loopback loop;
    std::promise<void> entered;
    loop.router.add(
        {"GET", "/slow", Policy::open, Limit::none, "slow", [&](Request) -> asio::awaitable<Reply> {
             asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(300));
             entered.set_value();
             co_await timer.async_wait(asio::use_awaitable);
             Reply reply = Reply::json(std::string("\"done\""));
             co_return reply;
         }});
    loop.start();
    RawClient idle(loop.port);
    idle.send(get("/none"));
    EXPECT_EQ(idle.read().status, 404);
    RawClient slow(loop.port);
    slow.send(get("/slow"));
    entered.get_future().wait();
    loop.server->begin_drain();
    EXPECT_TRUE(idle.closed());
    const auto answer = slow.read();
    EXPECT_EQ(answer.body, "\"done\"");
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(slow.closed());
    EXPECT_TRUE(loop.server->finish_drain(base::Monotonic::now() + std::chrono::seconds(5)));
    EXPECT_EQ(loop.server->connections(), 0u);
}

TEST(Metrics, RequestsAreCountedByOperation) {
    metrics::Registry registry("1");
    ServerServices services;
    services.metrics = &registry;
    Loopback loop({}, services);
    loop.router.add({"GET", "/a/:id", Policy::open, Limit::none, "get_a", says("a")});
    loop.start();
    loop.ask(get("/a/secret-id"));
    loop.ask(get("/wherever"));
    loop.ask("nonsense\r\n\r\n");
    const auto text = registry.expose();
    EXPECT_NE(text.find("http_requests_total{method=\"GET\",operation=\"get_a\",status=\"200\"} 1"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("operation=\"unmatched\",status=\"404\"} 1"), std::string::npos);
    EXPECT_NE(text.find("operation=\"malformed\",status=\"400\"} 1"), std::string::npos);
    EXPECT_EQ(text.find("secret-id"), std::string::npos);
    EXPECT_EQ(text.find("wherever"), std::string::npos);
}

}  // namespace
}  // namespace supd::http
