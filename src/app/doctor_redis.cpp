#include "doctor_redis.hpp"

#include <supd/cache/url.hpp>
#include <supd/net/outbound.hpp>

#include <algorithm>
#include <cstdlib>

namespace supd::app {
namespace {

constexpr double kFullWarns = 0.8;
constexpr std::size_t kMaxReply = 1024 * 1024;

// One command after the other, in RESP2.
class Redis {
public:
    explicit Redis(net::OutboundOptions options) : connection_(std::move(options)) {}

    /// The reply's text; an error reply keeps its "-".
    std::string ask(const std::vector<std::string>& words) {
        std::string request = "*" + std::to_string(words.size()) + "\r\n";
        for (const auto& word : words)
            request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
        connection_.write(request);
        const auto line = this->line();
        if (!line.starts_with('$')) return line.starts_with('+') ? line.substr(1) : line;
        const auto size = std::atol(line.c_str() + 1);
        if (size < 0) return "";
        const auto bytes = std::min<std::size_t>(static_cast<std::size_t>(size), kMaxReply) + 2;
        while (buffer_.size() < bytes)
            more();
        auto out = buffer_.substr(0, bytes - 2);
        buffer_.erase(0, bytes);
        return out;
    }

private:
    std::string line() {
        for (;;) {
            const auto end = buffer_.find("\r\n");
            if (end != std::string::npos) {
                auto out = buffer_.substr(0, end);
                buffer_.erase(0, end + 2);
                return out;
            }
            more();
        }
    }
    void more() {
        const auto bytes = connection_.read();
        if (bytes.empty() || buffer_.size() > kMaxReply)
            throw net::OutboundError(net::OutboundError::Kind::broken, "it speaks no Redis");
        buffer_ += bytes;
    }

    net::Outbound connection_;
    std::string buffer_;
};

// "name:value\r\n" of INFO.
std::string info_value(const std::string& info, const std::string& name) {
    const auto at = info.find("\n" + name + ":");
    if (at == std::string::npos) return "";
    const auto from = at + name.size() + 2;
    return info.substr(from, info.find_first_of("\r\n", from) - from);
}

RedisFacts look_at(const cache::Url& url, const std::string& ca_file) {
    net::OutboundOptions options;
    options.host = url.endpoints.front().host;
    options.port = url.endpoints.front().port;
    options.tls = url.tls;
    options.ca_file = ca_file;
    Redis redis(std::move(options));
    RedisFacts out;
    if (!url.password.empty()) {
        const auto& password = url.password.reveal();
        const auto said =
            url.user.empty() ? redis.ask({"AUTH", password}) : redis.ask({"AUTH", url.user, password});
        if (said != "OK") {
            out.refusal = said;
            return out;
        }
    }
    if (const auto said = redis.ask({"PING"}); said != "PONG") {
        out.refusal = said.empty() ? "nothing" : said;
        return out;
    }
    const auto info = redis.ask({"INFO", "memory"});
    out.policy = info_value(info, "maxmemory_policy");
    out.maximum = std::strtod(info_value(info, "maxmemory").c_str(), nullptr);
    out.used = std::strtod(info_value(info, "used_memory").c_str(), nullptr);
    return out;
}

}  // namespace

Judgement judge_redis_answer(const RedisFacts& facts) {
    if (facts.refusal.empty()) return all_well("it answers");
    return fails("it says: " + facts.refusal.substr(0, 200),
                 "check user and password in redis.url, and the user's rights (ACL LIST)");
}

Judgement judge_redis_eviction(const RedisFacts& facts) {
    if (facts.policy == "noeviction") return all_well("maxmemory-policy = noeviction");
    if (facts.policy.empty())
        return warns("it does not tell its maxmemory-policy",
                     "allow the user +info, or make sure that it is noeviction");
    return fails(
        "maxmemory-policy = " + facts.policy + ": shared rate limits are given back when memory is short",
        "maxmemory-policy noeviction in redis.conf, and CONFIG SET maxmemory-policy noeviction");
}

Judgement judge_redis_memory(const RedisFacts& facts) {
    const std::string used = human_bytes(facts.used) + " in use";
    if (facts.maximum <= 0)
        return warns(used + " without a bound: the machine may run out of memory",
                     "set maxmemory in redis.conf, below what the machine has");
    const std::string found = used + " of " + human_bytes(facts.maximum);
    if (facts.used / facts.maximum >= kFullWarns) return warns(found, "raise maxmemory");
    return all_well(found);
}

Findings examine_redis(const Patient& patient) {
    const char* reach = "redis.reachable";
    const auto& given = patient.config().redis.url;
    if (given.empty()) return {{reach, not_looked_at("no redis.url: a single process needs none")}};
    const auto url = cache::parse_url(given.reveal());  // a valid one, or nobody comes here
    if (url.layout == cache::Layout::sentinel)
        return {{reach, not_looked_at("redis.url names sentinels, which are not looked at here")}};
    try {
        const auto facts = look_at(url, patient.config().redis.ca_file);
        Findings out{{reach, judge_redis_answer(facts)}};
        if (!facts.refusal.empty()) return out;
        out.push_back({"redis.eviction", judge_redis_eviction(facts)});
        out.push_back({"redis.memory", judge_redis_memory(facts)});
        return out;
    } catch (const net::OutboundError& error) {
        return {{reach, fails(error.what(), "start Redis, and check redis.url and the firewall")}};
    }
}

}  // namespace supd::app
