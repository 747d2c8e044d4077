// Token buckets: how often one user or one address may do a class of things. Sharded and bounded.
// Thread-safe, never blocks for long. The buckets are of this process; with SharedBuckets each is corrected
// by what was taken everywhere.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>
#include <supd/base/ids.hpp>
#include <supd/http/router.hpp>

#include <boost/asio/ip/address.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace supd::http {

struct RateRule {
    double per_minute = 0;
    double burst = 0;  ///< the bucket's size: what may be done at once
};

struct RateLimitOptions {
    bool enabled = true;  ///< false only in development: everything is allowed, no headers
    RateRule api{100, 100};
    RateRule auth{5, 10};
    RateRule message{3000, 300};
    RateRule people{300, 2000};  ///< put into chats: no class of a route, a request takes as many as it adds
    /// An address carries many users (offices, carrier NAT): the bucket of an address that authenticated
    /// requests share is this much larger than a user's.
    double shared_address_factor = 20;
    std::size_t max_buckets = 262'144;
};

struct Verdict {
    bool allowed = true;
    bool counted = false;         ///< false: limits are off or the class is none; no headers then
    std::uint32_t limit = 0;      ///< RateLimit-Limit: the bucket's size
    std::uint32_t remaining = 0;  ///< RateLimit-Remaining
    std::uint32_t reset_s = 0;    ///< RateLimit-Reset: seconds until the bucket is full
    std::uint32_t retry_after_s = 0;

    /// 429 `rate_limited` with its headers.
    base::Error error() const;
};

/// Buckets that several processes share. Implemented by nodes. Thread-safe, never blocks.
class SharedBuckets {
public:
    virtual ~SharedBuckets() = default;
    /// Takes the tokens, even those that are not there: down to minus `burst`, so that who takes at several
    /// processes at once pays afterwards. `left` is called with what is left then, on any thread; or never.
    virtual void take(const std::string& name, double tokens, double per_second, double burst,
                      std::function<void(double)> left) = 0;
};

class RateLimiter {
public:
    explicit RateLimiter(RateLimitOptions options);
    RateLimiter(RateLimitOptions options, const base::Clock& clock);
    ~RateLimiter();

    /// Before serving. What is allowed here is taken there too, and its answer lowers the bucket here: the
    /// decision itself never waits, and stays the local one while there is no answer.
    void share_by(SharedBuckets& shared) { shared_ = &shared; }

    /// Takes `tokens` of the bucket (limit, key), or none. A full table first forgets full buckets; if none
    /// is, auth is refused (fails closed) and the other classes pass. `scale` multiplies rate and burst.
    Verdict take(Limit limit, std::string_view key, double scale = 1, double tokens = 1);
    /// Throws Verdict::error() when refused.
    void require(Limit limit, std::string_view key, double tokens = 1, double scale = 1);

    /// Keys: a user; an address (IPv4, or IPv6 /64); what somebody typed as a login name (normalised by the
    /// caller), from anywhere or from one address.
    static std::string user_key(base::UserId user);
    static std::string address_key(const asio::ip::address& address);
    /// Of the larger bucket that signed-in requests from one address share: never the same as the small one.
    static std::string shared_address_key(const asio::ip::address& address);
    static std::string identifier_key(std::string_view identifier);
    static std::string identifier_key(std::string_view identifier, const asio::ip::address& address);

    const RateLimitOptions& options() const noexcept { return options_; }
    std::size_t buckets() const;

private:
    struct Shard;
    const RateRule* rule_of(Limit limit) const noexcept;
    void lower(const std::string& name, double left);

    RateLimitOptions options_;
    base::SystemClock system_clock_;
    const base::Clock& clock_;
    std::string seed_;
    std::unique_ptr<Shard[]> shards_;
    SharedBuckets* shared_ = nullptr;
};

}  // namespace supd::http
