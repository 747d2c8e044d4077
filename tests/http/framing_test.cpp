// What a stranger may send on a connection: framing that could be read in two ways is refused and ends it;
// the rest is answered in order.
#include "http/loopback.hpp"

#include <nlohmann/json.hpp>

namespace supd::http {
namespace {

using testing_::Loopback;
using testing_::RawClient;

class Framing : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        loop_ = new Loopback;
        Route echo{"POST",
                   "/echo",
                   Policy::open,
                   Limit::none,
                   "echo",
                   [](Request request) -> asio::awaitable<Reply> {
                       Reply reply = Reply::json(request.body);
                       co_return reply;
                   }};
        echo.body_limit = 1000;
        loop_->router.add(std::move(echo));
        loop_->router.add({"GET", "/path/:value", Policy::open, Limit::none, "value",
                           [](Request request) -> asio::awaitable<Reply> {
                               Reply reply = Reply::json(std::string(request.path_value("value")));
                               co_return reply;
                           }});
        loop_->router.add(
            {"GET", "/api/a", Policy::open, Limit::none, "a", [](Request) -> asio::awaitable<Reply> {
                 Reply reply = Reply::json(std::string("1"));
                 co_return reply;
             }});
        loop_->router.add(
            {"GET", "/fails", Policy::open, Limit::none, "fails", [](Request) -> asio::awaitable<Reply> {
                 throw std::runtime_error("secret detail");
                 co_return Reply();
             }});
        loop_->start();
    }
    static void TearDownTestSuite() {
        delete loop_;
        loop_ = nullptr;
    }
    static inline Loopback* loop_ = nullptr;
};

struct Refused {
    const char* name;
    std::string bytes;
    int status;
};

const std::string kPost = "POST /echo HTTP/1.1\r\nHost: x\r\n";
const std::string kGet = "GET /path/a HTTP/1.1\r\nHost: x\r\n";

TEST_F(Framing, AmbiguousIsRefusedAndClosed) {
    const std::vector<Refused> cases = {
        {"CL and TE", kPost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         400},
        {"TE and CL", kPost + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         400},
        {"two lengths", kPost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"list of lengths", kPost + "Content-Length: 3, 3\r\n\r\nabc", 400},
        {"signed length", kPost + "Content-Length: +3\r\n\r\nabc", 400},
        {"negative length", kPost + "Content-Length: -3\r\n\r\nabc", 400},
        {"empty length", kPost + "Content-Length:\r\n\r\nabc", 400},
        {"length overflow", kPost + "Content-Length: 99999999999999999999\r\n\r\nabc", 400},
        {"TE list", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
        {"TE other", kPost + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
        {"TE vertical tab", kPost + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400},
        {"TE twice", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"TE in 1.0", "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"space before colon", kPost + "Content-Length : 3\r\n\r\nabc", 400},
        {"obs-fold", kGet + "X-A: a\r\n b\r\n\r\n", 400},
        {"fold first", "GET /path/a HTTP/1.1\r\n Host: x\r\n\r\n", 400},
        {"no colon", kGet + "nonsense\r\n\r\n", 400},
        {"empty name", kGet + ": a\r\n\r\n", 400},
        {"NUL", kGet + std::string("X-A: a\0b\r\n\r\n", 12), 400},
        {"bare CR", kGet + "X-A: a\rb\r\n\r\n", 400},
        {"bare LF head", "GET /path/a HTTP/1.1\nHost: x\n\n", 400},
        {"bare LF line", kGet + "X-A: a\nX-B: b\r\n\r\n", 400},
        {"no host", "GET /path/a HTTP/1.1\r\n\r\n", 400},
        {"two hosts", kGet + "Host: y\r\n\r\n", 400},
        {"odd host", "GET /path/a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"absolute form", "GET http://evil/path/a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"asterisk", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"space in target", "GET /path/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"no version", "GET /path/a\r\n\r\n", 400},
        {"odd version", "GET /path/a HTTP/1.x\r\nHost: x\r\n\r\n", 400},
        {"version 2", "GET /path/a HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"TLS on plain", "\x16\x03\x01\x02\x00\x01", 400},
        {"bad chunk size", kPost + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400},
        {"huge chunk size", kPost + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", 400},
        {"chunk without CRLF", kPost + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n", 400},
        {"chunk line LF", kPost + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
        {"endless extension", kPost + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(5000, 'a'), 400},
        {"long extension",
         kPost + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(300, 'a') + "\r\nx\r\n0\r\n\r\n", 400},
        {"endless trailer", kPost + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: " + std::string(20'000, 'a'),
         400},
        {"expectation", kPost + "Content-Length: 3\r\nExpect: magic\r\n\r\nabc", 417},
        {"1.0 without length", "POST /echo HTTP/1.0\r\n\r\n", 411},
        {"type without length", kPost + "Content-Type: application/json\r\n\r\n", 411},
        {"long target", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        {"endless target", "GET /" + std::string(20'000, 'a'), 414},
        {"large header", kGet + "X-A: " + std::string(17'000, 'a') + "\r\n\r\n", 431},
        {"announced too large", kPost + "Content-Length: 1001\r\n\r\n", 413},
        {"chunked too large", kPost + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'a'),
         413},
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(one.name);
        RawClient client(loop_->port);
        client.send(one.bytes + "GET /path/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        const auto answer = client.read();
        EXPECT_EQ(answer.status, one.status);
        EXPECT_EQ(answer.header("Connection"), "close");
        EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
        EXPECT_FALSE(answer.header("X-Request-Id").empty());
        if (answer.status) EXPECT_EQ(nlohmann::json::parse(answer.body)["status"], one.status);
        EXPECT_TRUE(client.closed());
    }
}

TEST_F(Framing, TooManyFields) {
    std::string bytes = kGet;
    for (std::size_t i = 0; i < kMaxHeaderFields; ++i)
        bytes += "X: y\r\n";
    EXPECT_EQ(loop_->ask(bytes + "\r\n").status, 431);
}

TEST_F(Framing, BodiesOfBothKinds) {
    EXPECT_EQ(loop_->ask(kPost + "Content-Length: 3\r\n\r\nabc").body, "abc");
    const auto limit = std::string(1000, 'x');
    EXPECT_EQ(loop_->ask(kPost + "Content-Length: 1000\r\n\r\n" + limit).body, limit);
    EXPECT_EQ(
        loop_->ask(kPost + "Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n")
            .body,
        "abcde");
    EXPECT_EQ(loop_->ask(kPost + "Content-Length: 0\r\n\r\n").status, 200);
    EXPECT_EQ(loop_->ask(kPost + "\r\n").status, 200);
}

TEST_F(Framing, OneByteAtATime) {
    RawClient client(loop_->port);
    const std::string bytes =
        "\r\n" + kPost + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-T: 1\r\n\r\n" +
        kGet + "\r\n";
    for (const char c : bytes)
        client.send({&c, 1});
    EXPECT_EQ(client.read().body, "abcde");
    EXPECT_EQ(client.read().body, "a");
}

TEST_F(Framing, PipelinedRequestsAreAnsweredInOrder) {
    RawClient client(loop_->port);
    std::string bytes;
    for (int i = 0; i < 200; ++i) {
        bytes += "GET /path/" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
        bytes += kPost + "Content-Length: 2\r\n\r\nhi";
        bytes += "GET /nothing HTTP/1.1\r\nHost: x\r\nX-Request-Id: n" + std::to_string(i) + "\r\n\r\n";
    }
    client.send(bytes);
    for (int i = 0; i < 200; ++i) {
        ASSERT_EQ(client.read().body, std::to_string(i));
        ASSERT_EQ(client.read().body, "hi");
        const auto missing = client.read();
        ASSERT_EQ(missing.status, 404);
        ASSERT_EQ(missing.header("X-Request-Id"), "n" + std::to_string(i));
    }
}

TEST_F(Framing, ContinueIsSaidBeforeTheBody) {
    RawClient client(loop_->port);
    client.send(kPost + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.read().status, 100);
    client.send("abc");
    EXPECT_EQ(client.read().body, "abc");
    RawClient refused(loop_->port);
    refused.send(kPost + "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(refused.read().status, 413);
}

TEST_F(Framing, KeepAliveAndClose) {
    RawClient client(loop_->port);
    client.send(kGet + "Connection: close\r\n\r\n");
    EXPECT_EQ(client.read().header("Connection"), "close");
    EXPECT_TRUE(client.closed());
    RawClient old(loop_->port);
    old.send("GET /path/a HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.read().status, 200);
    EXPECT_TRUE(old.closed());
    RawClient kept(loop_->port);
    kept.send("GET /path/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(kept.read().header("Connection"), "keep-alive");
    kept.send("HEAD /path/abc HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto head = kept.read(true);
    EXPECT_EQ(head.header("Content-Length"), "3");
    kept.send(kGet + "\r\n");
    EXPECT_EQ(kept.read().body, "a");
}

TEST_F(Framing, PathsAreDecodedOnce) {
    EXPECT_EQ(loop_->ask("GET /path/a%2Fb%2541 HTTP/1.1\r\nHost: x\r\n\r\n").body, "a/b%41");
    EXPECT_EQ(loop_->ask("GET /path/a/ HTTP/1.1\r\nHost: x\r\n\r\n").body, "a");
    for (const auto* path : {"/path/%00", "/path/%zz", "/path/%ff%fe", "/path/%4"})
        EXPECT_EQ(loop_->ask("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 400)
            << path;
    for (const auto* path : {"/path/", "/path", "//path/a", "/path/a//", "/../path/a", "/path/%2e%2e/x"})
        EXPECT_EQ(loop_->ask("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 404)
            << path;
}

TEST_F(Framing, MethodsAndFaults) {
    const auto wrong = loop_->ask("DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.header("Allow"), "OPTIONS, POST");
    EXPECT_EQ(loop_->ask("FOO /echo HTTP/1.1\r\nHost: x\r\n\r\n").status, 501);
    EXPECT_EQ(loop_->ask("TRACE /echo HTTP/1.1\r\nHost: x\r\n\r\n").status, 405);
    const auto failed = loop_->ask("GET /fails HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(failed.status, 500);
    EXPECT_EQ(failed.body.find("secret"), std::string::npos);
    EXPECT_EQ(loop_->ask(kGet + "Accept: image/png\r\n\r\n").status, 200)
        << "only the API is asked for a type";
    const std::string api = "GET /api/a HTTP/1.1\r\nHost: x\r\nAccept: ";
    EXPECT_EQ(loop_->ask(api + "image/png\r\n\r\n").status, 406);
    EXPECT_EQ(loop_->ask(api + "application/json;q=0, text/*\r\n\r\n").status, 406);
    EXPECT_EQ(loop_->ask(api + "text/html, application/json;q=0.1\r\n\r\n").status, 200);
    EXPECT_EQ(loop_->ask(kPost + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx").status, 415);
}

}  // namespace
}  // namespace supd::http
