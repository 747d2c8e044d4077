// Token buckets with a clock that the test turns.
#include <supd/http/rate_limit.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace supd::http {
namespace {

class TurnedClock final : public base::Clock {
public:
    base::Millis now_ms() const noexcept override { return 0; }
    base::Monotonic::time_point steady() const noexcept override { return now; }
    base::Monotonic::time_point now{std::chrono::hours(1)};
};

boost::asio::ip::address address(const char* text) {
    return boost::asio::ip::make_address(text);
}

TEST(RateLimit, BurstThenRate) {
    TurnedClock clock;
    RateLimiter limiter({}, clock);
    for (int i = 0; i < 10; ++i) {
        const auto verdict = limiter.take(Limit::auth, "k");
        ASSERT_TRUE(verdict.allowed);
        EXPECT_EQ(verdict.limit, 10u);
        EXPECT_EQ(verdict.remaining, static_cast<unsigned>(9 - i));
    }
    auto refused = limiter.take(Limit::auth, "k");
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.retry_after_s, 12u);  // 5 a minute
    EXPECT_EQ(refused.reset_s, 120u);
    const auto error = refused.error();
    EXPECT_EQ(error.status(), 429);
    EXPECT_EQ(error.code(), "rate_limited");
    EXPECT_EQ(error.headers().front(), (std::pair<std::string, std::string>("Retry-After", "12")));
    clock.now += std::chrono::seconds(12);
    EXPECT_TRUE(limiter.take(Limit::auth, "k").allowed);
    EXPECT_FALSE(limiter.take(Limit::auth, "k").allowed);
    EXPECT_TRUE(limiter.take(Limit::auth, "other").allowed);
    EXPECT_TRUE(limiter.take(Limit::api, "k").allowed) << "classes are counted apart";
    clock.now += std::chrono::hours(5);
    EXPECT_EQ(limiter.take(Limit::auth, "k").remaining, 9u) << "never more than the burst";
    EXPECT_THROW(
        {
            for (int i = 0; i < 20; ++i)
                limiter.require(Limit::auth, "k");
        },
        base::Error);
}

TEST(RateLimit, TakesManyAtOnceOrNone) {
    TurnedClock clock;
    RateLimiter limiter({}, clock);
    EXPECT_EQ(limiter.take(Limit::people, "k", 1, 1500).remaining, 500u);
    const auto refused = limiter.take(Limit::people, "k", 1, 800);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.remaining, 500u);
    EXPECT_EQ(refused.retry_after_s, 60u);  // 300 a minute
    EXPECT_NO_THROW(limiter.require(Limit::people, "k", 500));
    EXPECT_NO_THROW(limiter.require(Limit::people, "k", 0));
    EXPECT_THROW(limiter.require(Limit::people, "k"), base::Error);
    clock.now += std::chrono::minutes(1);
    EXPECT_TRUE(limiter.take(Limit::people, "k", 1, 300).allowed);
}

TEST(RateLimit, ScaleAndOff) {
    TurnedClock clock;
    RateLimiter limiter({}, clock);
    EXPECT_EQ(limiter.take(Limit::api, "a", 20).limit, 2000u);
    EXPECT_FALSE(limiter.take(Limit::none, "a").counted);
    RateLimitOptions off;
    off.enabled = false;
    RateLimiter open(off, clock);
    for (int i = 0; i < 1000; ++i)
        EXPECT_TRUE(open.take(Limit::auth, "a").allowed);
    EXPECT_EQ(open.buckets(), 0u);
}

TEST(RateLimit, TheSharedBucketOfAnAddressIsAnotherOne) {
    TurnedClock clock;
    RateLimiter limiter({}, clock);
    const auto home = address("192.0.2.1");
    const auto own = RateLimiter::address_key(home), shared = RateLimiter::shared_address_key(home);
    EXPECT_NE(own, shared);
    // Signed-in requests do not refill what strangers may do.
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(limiter.take(Limit::auth, own).allowed);
    EXPECT_TRUE(limiter.take(Limit::auth, shared, 20).allowed);
    EXPECT_FALSE(limiter.take(Limit::auth, own).allowed);
    // And strangers do not empty what signed-in requests may do.
    for (int i = 0; i < 500; ++i)
        limiter.take(Limit::api, own);
    EXPECT_FALSE(limiter.take(Limit::api, own).allowed);
    EXPECT_TRUE(limiter.take(Limit::api, shared, 20).allowed);
}

TEST(RateLimit, AFullTableForgetsFullBucketsFirstAndClosesForAuth) {
    TurnedClock clock;
    RateLimitOptions options;
    options.max_buckets = 640;  // ten a shard
    RateLimiter limiter(options, clock);
    for (int i = 0; i < 20'000; ++i)
        limiter.take(Limit::api, "k" + std::to_string(i));
    EXPECT_LE(limiter.buckets(), 640u);
    int refused = 0, passed = 0;
    for (int i = 0; i < 100; ++i) {
        refused += !limiter.take(Limit::auth, "new" + std::to_string(i)).allowed;
        passed += limiter.take(Limit::api, "new" + std::to_string(i)).allowed;
    }
    EXPECT_EQ(refused, 100) << "auth fails closed";
    EXPECT_EQ(passed, 100) << "the others fail open";
    clock.now += std::chrono::minutes(10);  // all are full again: nothing to remember
    EXPECT_TRUE(limiter.take(Limit::auth, "later").allowed);
}

TEST(RateLimit, AddressesCountAsOneHost) {
    EXPECT_EQ(RateLimiter::address_key(address("::ffff:192.0.2.1")),
              RateLimiter::address_key(address("192.0.2.1")));
    EXPECT_NE(RateLimiter::address_key(address("192.0.2.1")), RateLimiter::address_key(address("192.0.2.2")));
    EXPECT_EQ(RateLimiter::address_key(address("2001:db8:0:1::1")),
              RateLimiter::address_key(address("2001:db8:0:1:ffff::2")));
    EXPECT_NE(RateLimiter::address_key(address("2001:db8:0:1::1")),
              RateLimiter::address_key(address("2001:db8:0:2::1")));
    EXPECT_EQ(RateLimiter::user_key(base::UserId::make()).size(), 17u);
}

// One shared bucket that answers when the test says so.
struct Shared final : SharedBuckets {
    void take(const std::string& name, double tokens, double, double burst,
              std::function<void(double)> left) override {
        names.push_back(name);
        level = std::max(-burst, level - tokens);
        answers.push_back([left = std::move(left), now = level] { left(now); });
    }
    void answer() {
        for (auto& one : std::exchange(answers, {}))
            one();
    }
    double level = 10;
    std::vector<std::string> names;
    std::vector<std::function<void()>> answers;
};

TEST(RateLimit, SharedBucketsCorrectTheLocalOneAndNeverRaiseIt) {
    TurnedClock clock;
    Shared shared;
    RateLimiter limiter({}, clock);
    limiter.share_by(shared);
    ASSERT_TRUE(limiter.take(Limit::auth, "k").allowed);
    EXPECT_EQ(limiter.take(Limit::auth, "k").remaining, 8U) << "it does not wait for the answer";
    shared.answer();
    EXPECT_EQ(limiter.take(Limit::auth, "k").remaining, 7U);
    shared.level = 100;
    EXPECT_EQ(limiter.take(Limit::auth, "k").remaining, 6U);
    shared.answer();
    EXPECT_EQ(limiter.take(Limit::auth, "k").remaining, 5U) << "an answer gives nothing back";
    shared.level = 0;  // another process took all
    ASSERT_TRUE(limiter.take(Limit::auth, "k").allowed);
    shared.answer();
    const auto taken = shared.names.size();
    const auto refused = limiter.take(Limit::auth, "k");
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.remaining, 0U);
    EXPECT_EQ(refused.retry_after_s, 24U) << "the one that was not there is paid first";
    EXPECT_EQ(shared.names.size(), taken) << "what is refused here takes nothing there";
    clock.now += std::chrono::seconds(24);
    EXPECT_TRUE(limiter.take(Limit::auth, "k").allowed);
    EXPECT_EQ(shared.names.front().substr(1), "k") << "named the same by every process: no seed";
}

}  // namespace
}  // namespace supd::http
