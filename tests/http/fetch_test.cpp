#include <supd/http/fetch.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

namespace supd::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Answers one connection with given bytes after the request's header, then closes.
class Once {
public:
    explicit Once(std::string answer) : thread_([this, answer] { serve(answer); }) {}
    ~Once() { wait(); }
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;
    /// Until the client has hung up.
    void wait() const {
        if (thread_.joinable()) thread_.join();
    }

    FetchRequest request() const {
        FetchRequest out;
        out.url = Url::parse("http://127.0.0.1:" + std::to_string(port_) + "/base/").value();
        out.target = "/x";
        return out;
    }
    const std::string& received() const { return received_; }

private:
    void serve(const std::string& answer) {
        auto socket = acceptor_.accept();
        asio::read_until(socket, asio::dynamic_buffer(received_), "\r\n\r\n");
        boost::system::error_code ignored;
        asio::write(socket, asio::buffer(answer), ignored);
        socket.shutdown(tcp::socket::shutdown_send, ignored);
        std::array<char, 1024> rest{};
        while (!ignored) {
            const auto got = socket.read_some(asio::buffer(rest), ignored);
            received_.append(rest.data(), got);
        }
    }

    asio::io_context context_;
    tcp::acceptor acceptor_{context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::uint16_t port_ = acceptor_.local_endpoint().port();
    std::string received_;
    mutable std::thread thread_;
};

TEST(Url, Parts) {
    const auto url = Url::parse("https://chat.example.org/deep/");
    ASSERT_TRUE(url);
    EXPECT_TRUE(url->tls);
    EXPECT_EQ(url->host, "chat.example.org");
    EXPECT_EQ(url->port, 443);
    EXPECT_EQ(url->path, "/deep");
    EXPECT_EQ(url->authority(), "chat.example.org");
    EXPECT_EQ(Url::parse("http://[::1]:8080")->authority(), "[::1]:8080");
    EXPECT_EQ(Url::parse("http://h")->path, "");
    for (const char* bad :
         {"", "ftp://h", "http://", "http://u:p@h", "http://h:0", "http://h:99999", "h", "http://h?x"})
        EXPECT_FALSE(Url::parse(bad)) << bad;
}

// Nothing when an answer came.
std::optional<net::OutboundError::Kind> failure_of(const FetchRequest& request) {
    try {
        fetch(request);
    } catch (const net::OutboundError& error) {
        return error.kind();
    }
    return std::nullopt;
}

TEST(Fetch, ByLengthChunkedAndToTheEnd) {
    for (const char* answer : {"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
                               "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nx-a: "
                               "b\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                               "HTTP/1.1 201 Created\r\nX-A:  b\r\n\r\nhello"}) {
        const Once server(answer);
        const auto got = fetch(server.request());
        EXPECT_EQ(got.status, 201);
        EXPECT_EQ(got.body, "hello");
        EXPECT_EQ(got.header("x-a"), "b");
        EXPECT_EQ(got.header("x-b"), "");
        EXPECT_EQ(got.local_address, "127.0.0.1");
        EXPECT_TRUE(server.received().starts_with("GET /base/x HTTP/1.1\r\n")) << server.received();
    }
}

TEST(Fetch, LooksNamesUpWithinItsTime) {
    const Once server("HTTP/1.1 204 No Content\r\n\r\n");
    auto request = server.request();
    request.url.host = "localhost";
    EXPECT_EQ(fetch(request).status, 204);
    request.timeout = std::chrono::milliseconds(0);
    EXPECT_EQ(failure_of(request), net::OutboundError::Kind::resolve);
}

TEST(Fetch, AnAnswerBeforeTheBodyIsRead) {
    const Once server("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    auto request = server.request();
    request.method = "POST";
    request.body.assign(1 << 20, 'x');
    EXPECT_EQ(fetch(request).status, 413);
}

TEST(Fetch, ABodyInPieces) {
    const Once server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    auto request = server.request();
    request.method = "PUT";
    request.length = 7;
    request.next_piece = [n = 0]() mutable { return std::string(++n == 1 ? "abcd" : "efg"); };
    EXPECT_EQ(fetch(request).status, 200);
    server.wait();
    EXPECT_TRUE(server.received().ends_with("Content-Length: 7\r\n\r\nabcdefg")) << server.received();
}

TEST(Fetch, ABodyThatIsNotAsLongAsWasSaid) {
    for (const char* piece : {"", "ab"}) {
        const Once server("");
        auto request = server.request();
        request.method = "PUT";
        request.length = 1;
        request.next_piece = [piece] { return std::string(piece); };
        EXPECT_THROW(fetch(request), std::length_error);
    }
}

TEST(Fetch, TheSinkTakesWhatIsTooLargeForTheBody) {
    const std::string body(kMaxFetchedBytes + 1, 'x');
    const auto answer = [&](const char* status) {
        return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    };
    {
        const Once server(answer("200 OK"));
        auto request = server.request();
        std::string taken;
        request.sink = [&](std::string_view piece) { taken += piece; };
        const auto got = fetch(request);
        EXPECT_EQ(got.body, "");
        EXPECT_TRUE(taken == body);
    }
    {
        const Once server(answer("200 OK"));
        EXPECT_THROW(fetch(server.request()), net::OutboundError);
    }
    {
        const Once server(answer("404 Not Found"));
        auto request = server.request();
        request.sink = [](std::string_view) { FAIL() << "the body of a refusal is not for the sink"; };
        EXPECT_THROW(fetch(request), net::OutboundError);
    }
}

TEST(Fetch, TheAnswerToHeadHasNoBody) {
    const Once server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    auto request = server.request();
    request.method = "HEAD";
    const auto got = fetch(request);
    EXPECT_EQ(got.header("content-length"), "9");
    EXPECT_EQ(got.body, "");
}

TEST(Fetch, WhatIsNoAnswer) {
    for (const char* answer : {"", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"}) {
        const Once server(answer);
        EXPECT_THROW(fetch(server.request()), net::OutboundError) << answer;
    }
}

TEST(Fetch, NobodyThereAndNobodyAnswering) {
    asio::io_context context;
    tcp::acceptor silent(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    FetchRequest request;
    request.url = Url::parse("http://127.0.0.1:" + std::to_string(silent.local_endpoint().port())).value();
    request.timeout = std::chrono::milliseconds(100);
    EXPECT_EQ(failure_of(request), net::OutboundError::Kind::timeout);
    silent.close();
    EXPECT_EQ(failure_of(request), net::OutboundError::Kind::connect);
}

}  // namespace
}  // namespace supd::http
