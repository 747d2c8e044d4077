#include "trace/collector.hpp"

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>
#include <supd/trace/tracer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace supd::trace {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 10s;

Context remote(bool sampled) {
    auto out = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").value();
    out.sampled = sampled;
    return out;
}

TEST(Tracer, TellsACollectorInTheJsonOfOtlp) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    {
        auto span = tracer.begin(Kind::server, "GET /api/v1/users/:id", remote(true));
        span.set("http.route", "/api/v1/users/:id \"quoted\"");
        span.set("http.response.status_code", 503);
        span.fail("503");
        const auto child = child_of(span.context(), Kind::client, "postgresql transaction");
        EXPECT_EQ(child.context().trace, span.context().trace);
        EXPECT_NE(child.context().span, span.context().span);
    }
    tracer.stop(kPatience);
    const auto body = nlohmann::json::parse(collector.bodies().at(0));
    const auto& resource = body["resourceSpans"][0];
    EXPECT_EQ(resource["resource"]["attributes"], nlohmann::json::parse(R"([
        {"key": "service.name", "value": {"stringValue": "supd"}},
        {"key": "service.version", "value": {"stringValue": "1.2.3"}},
        {"key": "service.instance.id", "value": {"stringValue": "here"}}])"));
    EXPECT_EQ(resource["scopeSpans"][0]["scope"]["name"], "supd");
    const auto spans = collector.spans();
    ASSERT_EQ(spans.size(), 2);
    const auto& child = spans[0];
    const auto& server = spans[1];
    EXPECT_EQ(server["traceId"], "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(server["parentSpanId"], "b7ad6b7169203331");
    EXPECT_EQ(server["name"], "GET /api/v1/users/:id");
    EXPECT_EQ(server["kind"], 2);
    EXPECT_EQ(server["status"]["code"], 2);
    EXPECT_EQ(server["attributes"], nlohmann::json::parse(R"([
        {"key": "http.route", "value": {"stringValue": "/api/v1/users/:id \"quoted\""}},
        {"key": "http.response.status_code", "value": {"intValue": "503"}},
        {"key": "error.type", "value": {"stringValue": "503"}}])"));
    EXPECT_EQ(child["kind"], 3);
    EXPECT_EQ(child["parentSpanId"], server["spanId"]);
    EXPECT_FALSE(child.contains("status"));
    EXPECT_TRUE(server["startTimeUnixNano"].is_string()) << "64 bits are text";
    const auto start = std::stoll(server["startTimeUnixNano"].get<std::string>());
    const auto end = std::stoll(server["endTimeUnixNano"].get<std::string>());
    EXPECT_GE(end, start);
    EXPECT_NEAR(static_cast<double>(start) / 1e6, static_cast<double>(base::wall_clock_ms()), 60'000);
    EXPECT_EQ(tracer.numbers().exported, 2);
}

TEST(Tracer, ARootHasNoParent) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    tracer.begin(Kind::consumer, "job");
    tracer.stop(kPatience);
    EXPECT_FALSE(collector.spans()[0].contains("parentSpanId"));
    EXPECT_EQ(collector.spans()[0]["kind"], 5);
}

TEST(Tracer, TheParentDecidesElseTheRatio) {
    ScriptedCollector collector;
    Tracer all(collector.options(1)), none(collector.options(0)), some(collector.options(0.25));
    EXPECT_FALSE(all.begin(Kind::server, "x", remote(false)));
    EXPECT_TRUE(none.begin(Kind::server, "x", remote(true)));
    int sampled = 0;
    for (int i = 0; i < 4000; ++i) {
        EXPECT_TRUE(all.begin(Kind::server, "x"));
        EXPECT_FALSE(none.begin(Kind::server, "x"));
        sampled += some.begin(Kind::server, "x") ? 1 : 0;
    }
    EXPECT_NEAR(sampled, 1000, 200);
}

TEST(Tracer, WhatIsNotSampledLeavesNothing) {
    ScriptedCollector collector;
    Tracer tracer(collector.options(0));
    auto span = tracer.begin(Kind::server, "x");
    span.set("a", "b");
    span.fail("c");
    EXPECT_FALSE(span.context().recorded());
    EXPECT_FALSE(child_of(span.context(), Kind::client, "y"));
    EXPECT_FALSE(child_of(remote(true), Kind::client, "y")) << "nobody here records what is outside";
    tracer.stop(kPatience);
    EXPECT_TRUE(collector.bodies().empty());
}

TEST(Tracer, IdsDiffer) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    std::set<TraceId> traces;
    std::set<SpanId> spans;
    for (int i = 0; i < 1000; ++i) {
        const auto span = tracer.begin(Kind::server, "x");
        traces.insert(span.context().trace);
        spans.insert(span.context().span);
    }
    EXPECT_EQ(traces.size(), 1000);
    EXPECT_EQ(spans.size(), 1000);
}

TEST(Tracer, ARefusalIsNoFault) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    for (const int status : {404, 503}) {
        auto span = tracer.begin(Kind::client, std::to_string(status));
        try {
            throw base::Error(status, "a_code", "");
        } catch (...) {
            span.fail_by_exception();
        }
    }
    tracer.stop(kPatience);
    EXPECT_FALSE(collector.spans()[0].contains("status"));
    EXPECT_EQ(collector.spans()[1]["status"]["code"], 2);
}

TEST(Tracer, MovedSpansEndOnce) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    {
        auto first = tracer.begin(Kind::server, "first");
        auto second = tracer.begin(Kind::server, "second");
        first = std::move(second);
        Span third(std::move(first));
        EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): an empty span is promised
    }
    tracer.stop(kPatience);
    EXPECT_EQ(tracer.numbers().exported, 2);
}

TEST(Exporter, AsksAgainAfterWhatMayPass) {
    for (const int status : {0, 429, 502, 503, 504}) {
        ScriptedCollector collector({status});
        Tracer tracer(collector.options());
        tracer.begin(Kind::server, "x");
        collector.wait_for_posts(2);
        tracer.stop(kPatience);
        EXPECT_EQ(collector.bodies().size(), 2) << status;
        EXPECT_EQ(collector.bodies()[0], collector.bodies()[1]);
        EXPECT_EQ(tracer.numbers().exported, 1);
        EXPECT_EQ(tracer.numbers().undelivered + tracer.numbers().refused, 0);
    }
}

TEST(Exporter, DoesNotAskAgainAfterARefusal) {
    for (const int status : {400, 401, 404, 413, 500}) {
        ScriptedCollector collector({status});
        Tracer tracer(collector.options());
        tracer.begin(Kind::server, "x");
        tracer.stop(kPatience);
        EXPECT_EQ(collector.bodies().size(), 1) << status;
        EXPECT_EQ(tracer.numbers().refused, 1);
        EXPECT_EQ(tracer.numbers().exported, 0);
    }
}

TEST(Exporter, CountsWhatAPartialSuccessRejects) {
    ScriptedCollector collector;
    collector.answer_with(std::nullopt, 2);
    Tracer tracer(collector.options());
    collector.hold();
    tracer.begin(Kind::server, "x");
    collector.wait_for_posts(1);
    for (int i = 0; i < 3; ++i)
        tracer.begin(Kind::server, "x");
    collector.release();
    tracer.stop(kPatience);
    EXPECT_EQ(tracer.numbers().refused, 3) << "one of one, two of three";
    EXPECT_EQ(tracer.numbers().exported, 1);
}

TEST(Exporter, GivesABatchUpAfterItsAttempts) {
    ScriptedCollector collector(std::vector<int>(kAttempts, 503));
    Tracer tracer(collector.options());
    tracer.begin(Kind::server, "x");
    collector.wait_for_posts(kAttempts);
    tracer.begin(Kind::server, "the next one");
    collector.wait_for_posts(kAttempts + 1);
    tracer.stop(kPatience);
    EXPECT_EQ(tracer.numbers().undelivered, 1);
    EXPECT_EQ(tracer.numbers().exported, 1);
}

TEST(Exporter, TheQueueHasABoundAndNobodyWaits) {
    ScriptedCollector collector;
    collector.hold();
    Tracer tracer(collector.options());
    tracer.begin(Kind::server, "x");
    collector.wait_for_posts(1);  // its thread is busy now
    constexpr std::size_t kMore = 100;
    for (std::size_t i = 0; i < kQueueSpans + kMore; ++i)
        tracer.begin(Kind::server, "x");
    EXPECT_EQ(tracer.numbers().overflown, kMore);
    collector.release();
    tracer.stop(kPatience);
    EXPECT_EQ(tracer.numbers().exported, kQueueSpans + 1);
    EXPECT_EQ(collector.bodies().size(), 1 + kQueueSpans / kBatchSpans) << "in batches";
}

TEST(Exporter, HonoursRetryAfter) {
    ScriptedCollector collector({503});
    collector.answer_with(1s, 0);
    const auto begun = base::Monotonic::now();
    Tracer tracer(collector.options());
    tracer.begin(Kind::server, "x");
    collector.wait_for_posts(2);
    EXPECT_GE(base::Monotonic::now() - begun, 1s) << "its own first pause is a millisecond";
}

TEST(Exporter, ARetryAfterOfNothingIsNoHurry) {
    ScriptedCollector collector({503});
    collector.answer_with(0s, 0);
    auto options = collector.options();
    options.first_pause = 200ms;
    const auto begun = base::Monotonic::now();
    Tracer tracer(std::move(options));
    tracer.begin(Kind::server, "x");
    collector.wait_for_posts(2);
    EXPECT_GE(base::Monotonic::now() - begun, 100ms) << "half of the pause at least";
}

TEST(Exporter, StoppingDoesNotWaitForTheNextAttempt) {
    ScriptedCollector collector({503});
    auto options = collector.options();
    options.first_pause = 1h;
    Tracer tracer(std::move(options));
    tracer.begin(Kind::server, "x");
    collector.wait_for_posts(1);
    tracer.stop(kPatience);
    EXPECT_EQ(collector.bodies().size(), 1);
    EXPECT_EQ(tracer.numbers().undelivered, 1);
}

TEST(Exporter, WhoMustHurrySendsNothingThatLastsLonger) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    tracer.hurry(base::Monotonic::now());
    tracer.begin(Kind::server, "x");
    tracer.stop(kPatience);
    EXPECT_TRUE(collector.bodies().empty());
    EXPECT_EQ(tracer.numbers().undelivered, 1);
}

TEST(Tracer, ClientsMayAskForSoMany) {
    ScriptedCollector collector;
    auto options = collector.options(0);
    options.client_spans = 3;
    Tracer tracer(std::move(options));
    Context client;
    client.trace = {1};
    client.span = {1};
    client.sampled = true;
    int recorded = 0;
    const auto begun = base::Monotonic::now();
    for (int i = 0; i < 1000; ++i)
        if (tracer.begin(Kind::server, "x", client)) ++recorded;
    const double passed = std::chrono::duration<double>(base::Monotonic::now() - begun).count();
    EXPECT_GE(recorded, 3);
    EXPECT_LE(recorded, 3 + passed * kClientSpansPerSecond + 1);
}

TEST(Exporter, WithoutPatienceNothingIsSent) {
    ScriptedCollector collector;
    auto options = collector.options();
    options.interval = 1h;
    Tracer tracer(std::move(options));
    tracer.begin(Kind::server, "x");
    tracer.stop(0s);
    tracer.begin(Kind::server, "after the end");
    EXPECT_TRUE(collector.bodies().empty());
    EXPECT_EQ(tracer.numbers().undelivered, 2);
}

TEST(Exporter, TakesSpansOfManyThreads) {
    ScriptedCollector collector;
    Tracer tracer(collector.options());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 500; ++n) {
                const auto span = tracer.begin(Kind::server, "x");
                const auto child = child_of(span.context(), Kind::client, "y");
            }
        });
    for (auto& thread : threads)
        thread.join();
    tracer.stop(kPatience);
    const auto numbers = tracer.numbers();
    EXPECT_EQ(numbers.exported + numbers.overflown, 4000);
}

}  // namespace
}  // namespace supd::trace
