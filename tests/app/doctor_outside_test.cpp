#include "app/doctor_proxy.hpp"
#include "app/doctor_redis.hpp"

#include <gtest/gtest.h>

namespace supd::app {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::int64_t kDay = 86'400;

TEST(DoctorProxy, WhomTheServerTakesUsFor) {
    const auto judged = [](const char* own, const char* seen) {
        return judge_client_address(own, seen).verdict;
    };
    EXPECT_EQ(judged("198.51.100.7", "198.51.100.7"), Verdict::ok);
    EXPECT_EQ(judged("192.168.1.5", "203.0.113.9"), Verdict::ok) << "an address translation";
    EXPECT_EQ(judged("fd00::5", "2001:db8::1"), Verdict::ok);
    EXPECT_EQ(judged("198.51.100.7", "127.0.0.1"), Verdict::failed) << "the proxy";
    for (const char* inner : {"10.0.0.2", "172.18.0.3", "192.168.7.7", "::1", "fd12::1", "", "nonsense"})
        EXPECT_EQ(judged("198.51.100.7", inner), Verdict::failed) << inner;
    EXPECT_EQ(judged("198.51.100.7", kForgedAddress.data()), Verdict::failed);
}

TEST(DoctorProxy, Scheme) {
    EXPECT_EQ(judge_scheme(true, true).verdict, Verdict::ok);
    EXPECT_EQ(judge_scheme(false, false).verdict, Verdict::ok);
    EXPECT_EQ(judge_scheme(true, false).verdict, Verdict::failed);
    EXPECT_EQ(judge_scheme(false, true).verdict, Verdict::failed);
}

TEST(DoctorProxy, Certificate) {
    net::PeerCertificate shown;
    shown.not_before = kNow - 10 * kDay;
    shown.not_after = kNow + 80 * kDay;
    shown.sent = 2;
    const auto judged = [&](auto change) {
        auto copy = shown;
        change(copy);
        return judge_certificate(copy, kNow).verdict;
    };
    EXPECT_EQ(judged([](auto&) {}), Verdict::ok);
    EXPECT_EQ(judged([](auto& c) { c.not_after = kNow + 19 * kDay; }), Verdict::warning);
    EXPECT_EQ(judged([](auto& c) { c.not_after = kNow + 2 * kDay; }), Verdict::failed);
    EXPECT_EQ(judged([](auto& c) { c.not_after = kNow - 1; }), Verdict::failed);
    EXPECT_EQ(judged([](auto& c) { c.not_before = kNow + kDay; }), Verdict::failed);
    EXPECT_EQ(judged([](auto& c) { c.fault = "self-signed certificate"; }), Verdict::failed);
}

TEST(DoctorProxy, Bodies) {
    EXPECT_EQ(judge_bodies(400, 413, 262'144).verdict, Verdict::ok);
    EXPECT_EQ(judge_bodies(400, 429, 262'144).verdict, Verdict::skipped);
    EXPECT_EQ(judge_bodies(413, 413, 262'144).verdict, Verdict::failed);
    EXPECT_EQ(judge_bodies(0, 413, 262'144).verdict, Verdict::failed);
    EXPECT_EQ(judge_bodies(400, 502, 262'144).verdict, Verdict::warning);
}

TEST(DoctorProxy, ClockAndMetrics) {
    EXPECT_EQ(judge_date("Fri, 15 Jan 2027 08:00:02 GMT", kNow).verdict, Verdict::ok);
    EXPECT_EQ(judge_date("Fri, 15 Jan 2027 08:00:20 GMT", kNow).verdict, Verdict::warning);
    EXPECT_EQ(judge_date("Fri, 15 Jan 2027 07:00:00 GMT", kNow).verdict, Verdict::failed);
    EXPECT_EQ(judge_date("", kNow).verdict, Verdict::skipped);
    EXPECT_EQ(judge_date("yesterday", kNow).verdict, Verdict::skipped);
    EXPECT_EQ(judge_metrics_hidden(404, "").verdict, Verdict::ok);
    EXPECT_EQ(judge_metrics_hidden(200, "<html>").verdict, Verdict::ok);
    EXPECT_EQ(judge_metrics_hidden(200, "# TYPE up gauge\n").verdict, Verdict::failed);
}

TEST(DoctorProxy, Socket) {
    EXPECT_EQ(judge_upgrade({101, true, true, "", 25}).verdict, Verdict::ok);
    for (const auto& bad :
         {SocketFacts{101, true, false, "", 25}, SocketFacts{101, false, false, "", 25},
          SocketFacts{400, false, false, "", 25}, SocketFacts{0, false, false, "closed", 25}}) {
        EXPECT_EQ(judge_upgrade(bad).verdict, Verdict::failed);
        EXPECT_FALSE(judge_upgrade(bad).mend.empty());
    }
    EXPECT_EQ(judge_idle({true, true, 25}).verdict, Verdict::ok);
    EXPECT_EQ(judge_idle({false, true, 10}).verdict, Verdict::ok);
    EXPECT_EQ(judge_idle({true, false, 12}).verdict, Verdict::failed);
}

TEST(DoctorRedis, Judgement) {
    RedisFacts facts;
    facts.policy = "noeviction";
    facts.maximum = 1000;
    facts.used = 100;
    EXPECT_EQ(judge_redis_answer(facts).verdict, Verdict::ok);
    EXPECT_EQ(judge_redis_eviction(facts).verdict, Verdict::ok);
    EXPECT_EQ(judge_redis_memory(facts).verdict, Verdict::ok);
    facts = {"-WRONGPASS", "allkeys-lru", 1000, 900};
    EXPECT_EQ(judge_redis_answer(facts).verdict, Verdict::failed);
    EXPECT_EQ(judge_redis_eviction(facts).verdict, Verdict::failed);
    EXPECT_EQ(judge_redis_memory(facts).verdict, Verdict::warning);
    facts = {};
    EXPECT_EQ(judge_redis_eviction(facts).verdict, Verdict::warning);
    EXPECT_EQ(judge_redis_memory(facts).verdict, Verdict::warning);
}

TEST(DoctorRedis, Sentinels) {
    const cache::Endpoint one{"10.0.0.1", 6379}, two{"10.0.0.2", 6379};
    EXPECT_EQ(judge_sentinels({{one, one, one}, {}}).verdict, Verdict::ok);
    EXPECT_EQ(judge_sentinels({{one, one}, {"s:26379: refused"}}).verdict, Verdict::warning);
    EXPECT_EQ(judge_sentinels({{one, two, one}, {}}).verdict, Verdict::warning);
    EXPECT_EQ(judge_sentinels({{}, {"s:26379: refused"}}).verdict, Verdict::failed);
}

}  // namespace
}  // namespace supd::app
