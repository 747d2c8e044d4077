#include "buckets.hpp"

#include <supd/crypto/bytes.hpp>

#include <charconv>

namespace supd::nodes {
namespace {

constexpr const char* kTake = R"(
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local burst, rate, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(bucket[1]) or burst
local passed = math.max(0, now - (tonumber(bucket[2]) or now))
tokens = math.max(math.min(burst, tokens + passed * rate) - want, -burst)
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate * 1000) + 1000)
return string.format('%.6f', tokens)
)";

// Names hold addresses and what people typed as their login.
std::string key_of(const std::string& name) {
    return "supd:r:" + crypto::base64url(crypto::view_of(crypto::sha256(name)).substr(0, 16));
}

}  // namespace

Buckets::Buckets(cache::Client& client) : client_(client), script_(std::make_shared<Script>(kTake)) {}

void Buckets::take(const std::string& name, double tokens, double per_second, double burst,
                   std::function<void(double)> left) {
    if (!client_.up()) return;
    cache::Words arguments{std::to_string(burst), std::to_string(per_second), std::to_string(tokens)};
    auto taken = [left = std::move(left)](const cache::Answer& answer) {
        if (!answer.ok()) return;
        const auto& text = answer.reply.text;
        double value = 0;
        const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (fault == std::errc() && end == text.data() + text.size()) left(value);
    };
    script_->run(client_, key_of(name), std::move(arguments), std::move(taken));
}

}  // namespace supd::nodes
