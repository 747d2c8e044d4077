#include <supd/http/rate_limit.hpp>
#include <supd/net/address.hpp>

#include <algorithm>
#include <cmath>

namespace supd::http {
namespace {

constexpr std::size_t kShards = 64;

struct Bucket {
    double tokens = 0;
    double per_second = 0;
    double burst = 0;
    base::Monotonic::time_point at;

    void refill(base::Monotonic::time_point now) {
        const auto passed = std::chrono::duration<double>(now - at).count();
        if (passed > 0) tokens = std::min(burst, tokens + passed * per_second);
        at = now;
    }
};

std::uint32_t seconds_until(double missing, double per_second) {
    if (missing <= 0) return 0;
    return static_cast<std::uint32_t>(std::clamp(std::ceil(missing / per_second), 1.0, 86'400.0));
}

}  // namespace

struct RateLimiter::Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Bucket> buckets;
    base::Monotonic::time_point swept{};

    bool make_room(std::size_t cap, base::Monotonic::time_point now) {
        if (buckets.size() < cap) return true;
        if (now - swept < std::chrono::seconds(1)) return false;  // a sweep costs: under attack one a second
        swept = now;
        for (auto at = buckets.begin(); at != buckets.end();) {
            at->second.refill(now);
            at = at->second.tokens >= at->second.burst ? buckets.erase(at) : std::next(at);
        }
        return buckets.size() < cap;
    }
};

base::Error Verdict::error() const {
    return base::Error(429, "rate_limited", "Too many requests. Try again later.")
        .with_header("Retry-After", std::to_string(retry_after_s))
        .with_header("RateLimit-Limit", std::to_string(limit))
        .with_header("RateLimit-Remaining", std::to_string(remaining))
        .with_header("RateLimit-Reset", std::to_string(reset_s));
}

RateLimiter::RateLimiter(RateLimitOptions options) : RateLimiter(options, system_clock_) {}

RateLimiter::RateLimiter(RateLimitOptions options, const base::Clock& clock)
    : options_(options), clock_(clock), seed_(), shards_(std::make_unique<Shard[]>(kShards)) {
    // Makes the table's hash unpredictable: keys come from clients.
    const auto random = base::make_uuid_v7();
    seed_.assign(random.begin() + 8, random.end());
}

RateLimiter::~RateLimiter() = default;

const RateRule* RateLimiter::rule_of(Limit limit) const noexcept {
    switch (limit) {
        case Limit::none:
            return nullptr;
        case Limit::api:
            return &options_.api;
        case Limit::auth:
            return &options_.auth;
        case Limit::message:
            return &options_.message;
        case Limit::people:
            return &options_.people;
    }
    return nullptr;
}

Verdict RateLimiter::take(Limit limit, std::string_view key, double scale, double tokens) {
    Verdict out;
    const auto* rule = rule_of(limit);
    if (!options_.enabled || !rule) return out;
    out.counted = true;
    const double burst = std::max(1.0, rule->burst * scale);
    const double per_second = std::max(rule->per_minute * scale / 60.0, 1.0 / 86'400);
    out.limit = static_cast<std::uint32_t>(burst);

    std::string name;
    name.reserve(seed_.size() + 1 + key.size());
    name += seed_;
    name += static_cast<char>('0' + static_cast<int>(limit));
    name += key;
    auto& shard = shards_[std::hash<std::string>{}(name) % kShards];
    const auto now = clock_.steady();

    std::unique_lock lock(shard.mutex);
    auto at = shard.buckets.find(name);
    if (at == shard.buckets.end()) {
        if (!shard.make_room(std::max<std::size_t>(1, options_.max_buckets / kShards), now)) {
            out.allowed = limit != Limit::auth;
            out.retry_after_s = out.allowed ? 0 : 60;
            out.reset_s = out.retry_after_s;
            return out;
        }
        Bucket fresh;
        fresh.tokens = burst;
        fresh.at = now;
        at = shard.buckets.emplace(name, fresh).first;
    }
    auto& bucket = at->second;
    bucket.burst = burst;
    bucket.per_second = per_second;
    bucket.refill(now);
    out.allowed = bucket.tokens >= tokens;
    if (out.allowed)
        bucket.tokens -= tokens;
    else
        out.retry_after_s = seconds_until(tokens - bucket.tokens, per_second);
    out.remaining = static_cast<std::uint32_t>(std::max(0.0, bucket.tokens));
    out.reset_s = seconds_until(burst - bucket.tokens, per_second);
    if (!shared_ || !out.allowed) return out;
    lock.unlock();
    shared_->take(name.substr(seed_.size()), tokens, per_second, burst,
                  [this, name](double left) { lower(name, left); });
    return out;
}

void RateLimiter::lower(const std::string& name, double left) {
    auto& shard = shards_[std::hash<std::string>{}(name) % kShards];
    const std::lock_guard lock(shard.mutex);
    const auto at = shard.buckets.find(name);
    if (at == shard.buckets.end()) return;
    at->second.refill(clock_.steady());
    at->second.tokens = std::min(at->second.tokens, left);
}

void RateLimiter::require(Limit limit, std::string_view key, double tokens, double scale) {
    const auto verdict = take(limit, key, scale, tokens);
    if (!verdict.allowed) throw verdict.error();
}

std::string RateLimiter::user_key(base::UserId user) {
    std::string out = "u";
    out.append(reinterpret_cast<const char*>(user.bytes.data()), user.bytes.size());
    return out;
}

std::string RateLimiter::address_key(const asio::ip::address& address) {
    const auto key = net::limit_key(address);
    std::string out = "a";
    out.append(reinterpret_cast<const char*>(key.data()), key.size());
    return out;
}

std::string RateLimiter::shared_address_key(const asio::ip::address& address) {
    return "s" + address_key(address);
}

std::string RateLimiter::identifier_key(std::string_view identifier) {
    return "i" + std::string(identifier.substr(0, 256));
}

std::string RateLimiter::identifier_key(std::string_view identifier, const asio::ip::address& address) {
    return "j" + address_key(address) + identifier_key(identifier);
}

std::size_t RateLimiter::buckets() const {
    std::size_t out = 0;
    for (std::size_t i = 0; i < kShards; ++i) {
        const std::lock_guard lock(shards_[i].mutex);
        out += shards_[i].buckets.size();
    }
    return out;
}

}  // namespace supd::http
