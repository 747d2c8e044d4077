// The exporter against a collector on a port of 127.0.0.1.
#include "app/trace_export.hpp"

#include <supd/trace/tracer.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace supd::app {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
using testing::HasSubstr;

// Answers one connection after the other with these texts, then closes its port.
class Collector {
public:
    explicit Collector(std::vector<std::string> answers)
        : thread_([this, answers = std::move(answers)] {
              for (const auto& answer : answers)
                  serve(answer);
              acceptor_.close();
          }) {}
    ~Collector() { wait(); }
    Collector(const Collector&) = delete;
    Collector& operator=(const Collector&) = delete;

    /// Until all answers are given.
    void wait() {
        if (thread_.joinable()) thread_.join();
    }
    http::Url url() const { return otlp_url("http://127.0.0.1:" + std::to_string(port_) + "/otlp/").value(); }
    const std::vector<std::string>& requests() const { return requests_; }

private:
    void serve(const std::string& answer) {
        auto socket = acceptor_.accept();
        std::string text;
        boost::system::error_code ended;
        const auto head = asio::read_until(socket, asio::dynamic_buffer(text), "\r\n\r\n");
        const auto at = text.find("Content-Length: ");
        const auto size = std::stoul(text.substr(at + 16)) + head;
        if (text.size() < size)
            asio::read(socket, asio::dynamic_buffer(text), asio::transfer_exactly(size - text.size()));
        requests_.push_back(text);
        asio::write(socket, asio::buffer(answer), ended);
        socket.shutdown(tcp::socket::shutdown_send, ended);
        std::array<char, 64> rest{};
        while (!ended)
            socket.read_some(asio::buffer(rest), ended);
    }

    asio::io_context context_;
    tcp::acceptor acceptor_{context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::uint16_t port_ = acceptor_.local_endpoint().port();
    std::vector<std::string> requests_;
    std::thread thread_;
};

std::string answer(const std::string& status, const std::string& body = "{}", const std::string& more = "") {
    return "HTTP/1.1 " + status + "\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n\r\n" + body;
}

trace::Options options_for(http::Url url, OtlpHeaders headers = {}) {
    trace::Options out;
    out.resource = {"supd", "1", "x"};
    out.interval = 1ms;
    out.first_pause = 1ms;
    out.post = post_to(std::move(url), std::move(headers));
    return out;
}

TEST(TraceExport, PostsJsonToTheCollector) {
    Collector collector({answer("200 OK")});
    trace::Tracer tracer(options_for(collector.url(), {{"X-Key", "of ours"}}));
    tracer.begin(trace::Kind::server, "GET /x");
    collector.wait();
    tracer.stop(10s);
    const auto& request = collector.requests().at(0);
    EXPECT_TRUE(request.starts_with("POST /otlp/v1/traces HTTP/1.1\r\n"));
    EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/json\r\n"));
    EXPECT_THAT(request, HasSubstr("\r\nX-Key: of ours\r\n"));
    EXPECT_THAT(request, HasSubstr(R"({"resourceSpans":[)"));
    EXPECT_EQ(request.find("traceparent"), std::string::npos);
    EXPECT_EQ(tracer.numbers().exported, 1);
}

TEST(TraceExport, OvercomesAnOutage) {
    Collector collector({answer("503 Service Unavailable", "", "Retry-After: 0\r\n"), answer("200 OK")});
    trace::Tracer tracer(options_for(collector.url()));
    tracer.begin(trace::Kind::server, "GET /x");
    collector.wait();
    tracer.stop(10s);
    EXPECT_EQ(collector.requests().size(), 2);
    EXPECT_EQ(tracer.numbers().exported, 1);
}

TEST(TraceExport, CountsRejectedSpansInBothFormsOfANumber) {
    for (const std::string count : {"\"1\"", "1"}) {
        Collector collector({answer("200 OK", R"({"partialSuccess":{"rejectedSpans":)" + count + "}}")});
        trace::Tracer tracer(options_for(collector.url()));
        tracer.begin(trace::Kind::server, "GET /x");
        collector.wait();
        tracer.stop(10s);
        EXPECT_EQ(tracer.numbers().refused, 1) << count;
    }
}

TEST(TraceExport, ReadsRetryAfter) {
    const auto asked = [](const std::string& header) {
        Collector collector({answer("429 Too Many Requests", "", header)});
        return post_to(collector.url(), {})("{}", 5s).retry_after;
    };
    EXPECT_EQ(asked("Retry-After: 7\r\n"), 7s);
    EXPECT_EQ(asked(""), std::nullopt);
    EXPECT_EQ(asked("Retry-After: -1\r\n"), std::nullopt);
    EXPECT_EQ(asked("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"), std::nullopt);
}

TEST(TraceExport, NobodyThereIsCountedAndTheQueueKeepsItsBound) {
    http::Url url;
    {
        Collector gone({});
        url = gone.url();
    }
    auto options = options_for(url);
    options.queue = 64;
    options.batch = 16;
    trace::Tracer tracer(std::move(options));
    constexpr std::uint64_t kSpans = 5000;
    for (std::uint64_t i = 0; i < kSpans; ++i)
        tracer.begin(trace::Kind::server, "GET /x");
    tracer.stop(10s);
    const auto numbers = tracer.numbers();
    EXPECT_EQ(numbers.exported, 0);
    EXPECT_EQ(numbers.undelivered + numbers.overflown, kSpans);
}

TEST(TraceExport, AnOddAnswerIsNotBelieved) {
    for (const std::string text : {"not HTTP at all\r\n\r\n", ""}) {
        Collector collector({text, answer("200 OK", R"({"partialSuccess":"what?"})")});
        trace::Tracer tracer(options_for(collector.url()));
        tracer.begin(trace::Kind::server, "GET /x");
        collector.wait();
        tracer.stop(10s);
        EXPECT_EQ(tracer.numbers().exported, 1);
    }
}

TEST(OtlpUrl, IsAnEndpointWithoutQuery) {
    EXPECT_EQ(otlp_url("http://tempo:4318")->path, "/v1/traces");
    EXPECT_EQ(otlp_url("https://example.org/otlp/")->path, "/otlp/v1/traces");
    for (const auto* text : {"", "tempo:4318", "grpc://tempo:4317", "http://", "http://a:b@c",
                             "http://tempo:0", "http://tempo/x?y=1", "http://tempo/x#y", "http://tempo/x y"})
        EXPECT_FALSE(otlp_url(text)) << text;
}

TEST(OtlpHeaders, AreNamesAndPercentEncodedValues) {
    using Pairs = OtlpHeaders;
    EXPECT_EQ(otlp_headers(""), Pairs{});
    EXPECT_EQ(otlp_headers("a=b"), (Pairs{{"a", "b"}}));
    EXPECT_EQ(otlp_headers(" Authorization = Basic%20dXNlcg== , x-scope=1,"),
              (Pairs{{"Authorization", "Basic dXNlcg=="}, {"x-scope", "1"}}));
    for (const auto* text :
         {"a", "=b", "a b=c", "a:=b", "a=%", "a=%2", "a=%zz", "a=%0d%0aHost:x", "a=b\r\nc: d"})
        EXPECT_FALSE(otlp_headers(text)) << text;
}

}  // namespace
}  // namespace supd::app
