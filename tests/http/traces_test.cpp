#include "http/loopback.hpp"
#include "trace/collector.hpp"

#include <supd/trace/carrier.hpp>

#include <gtest/gtest.h>

#include <map>

namespace supd::http {
namespace {

using namespace std::chrono_literals;
using testing_::Loopback;

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";

std::string get(const std::string& path, const std::string& headers = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

std::string traceparent(const std::string& flags) {
    return "traceparent: 00-" + kTrace + "-b7ad6b7169203331-" + flags + "\r\n";
}

nlohmann::json attribute(const nlohmann::json& span, const std::string& key) {
    for (const auto& one : span["attributes"])
        if (one["key"] == key) return one["value"].front();
    return nullptr;
}

class Traced : public testing::Test {
protected:
    Traced() {
        loop.router.add(
            {"GET", "/users/:id", Policy::open, Limit::none, "get_user", [this](Request) { return seen(); }});
        loop.router.add({"GET", "/broken", Policy::open, Limit::none, "get_broken",
                         [](Request) -> asio::awaitable<Reply> {
                             throw std::runtime_error("broken");
                             co_return Reply{};
                         }});
        loop.start();
    }
    asio::awaitable<Reply> seen() {
        const auto context = trace::carried(co_await asio::this_coro::executor);
        auto reply = Reply::json(trace::format_traceparent(context));
        co_return reply;
    }
    /// All spans, once the server and the tracer are through.
    nlohmann::json spans() {
        loop.server.reset();
        tracer.stop(10s);
        auto out = nlohmann::json::array();
        for (std::size_t i = 0; i < collector.bodies().size(); ++i)
            for (const auto& span : collector.spans(i))
                out.push_back(span);
        return out;
    }
    static ServerServices services(trace::Tracer& tracer) {
        ServerServices out;
        out.tracer = &tracer;
        return out;
    }

    trace::ScriptedCollector collector;
    trace::Tracer tracer{collector.options(0)};
    Loopback loop{{}, services(tracer)};
};

TEST_F(Traced, ARequestContinuesTheTraceOfItsClient) {
    const auto answer = loop.ask(get("/users/secret-id?q=secret", traceparent("01")));
    EXPECT_EQ(answer.status, 200);
    const auto all = spans();
    ASSERT_EQ(all.size(), 1);
    EXPECT_EQ(all[0]["name"], "GET /users/:id");
    EXPECT_EQ(all[0]["kind"], 2);
    EXPECT_EQ(all[0]["traceId"], kTrace);
    EXPECT_EQ(all[0]["parentSpanId"], "b7ad6b7169203331");
    EXPECT_EQ(attribute(all[0], "http.request.method"), "GET");
    EXPECT_EQ(attribute(all[0], "http.route"), "/users/:id");
    EXPECT_EQ(attribute(all[0], "http.response.status_code"), "200");
    EXPECT_FALSE(all[0].contains("status"));
    EXPECT_NE(answer.head.find("\r\ntraceparent: " + answer.body), std::string::npos)
        << "and the client is told";
    EXPECT_EQ(answer.body, "00-" + kTrace + "-" + all[0]["spanId"].get<std::string>() + "-01")
        << "the handler works under it";
    EXPECT_EQ(all.dump().find("secret"), std::string::npos);
}

TEST_F(Traced, NothingWithoutASampledParent) {
    for (const auto& headers : {std::string(), traceparent("00"), std::string("traceparent: 00-x\r\n"),
                                traceparent("01") + traceparent("01")})
        EXPECT_EQ(loop.ask(get("/users/1", headers)).status, 200);
    EXPECT_TRUE(spans().empty());
}

TEST_F(Traced, AFaultIsOneAndAMissingPathIsNone) {
    EXPECT_EQ(loop.ask(get("/broken", traceparent("01"))).status, 500);
    EXPECT_EQ(loop.ask(get("/secret-path", traceparent("01"))).status, 404);
    EXPECT_EQ(loop.ask("BREW /broken HTTP/1.1\r\nHost: x\r\n" + traceparent("01") + "\r\n").status, 501);
    std::map<std::string, nlohmann::json> by_status;  // in the order in which their connections ended
    for (const auto& span : spans())
        by_status[attribute(span, "http.response.status_code").get<std::string>()] = span;
    ASSERT_EQ(by_status.size(), 3);
    EXPECT_EQ(by_status["500"]["status"]["code"], 2);
    EXPECT_EQ(attribute(by_status["500"], "error.type"), "500");
    EXPECT_EQ(by_status["404"]["name"], "GET");
    EXPECT_EQ(attribute(by_status["404"], "http.route"), nullptr);
    EXPECT_FALSE(by_status["404"].contains("status"));
    EXPECT_EQ(by_status["501"]["name"], "HTTP");
    EXPECT_EQ(attribute(by_status["501"], "http.request.method"), "_OTHER");
}

}  // namespace
}  // namespace supd::http
