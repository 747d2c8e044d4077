#include "doctor_redis.hpp"

#include <supd/net/outbound.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace supd::app {
namespace {

constexpr double kFullWarns = 0.8;
constexpr std::size_t kMaxReply = 1024 * 1024;

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned byte = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3) {
            out += static_cast<char>(byte);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

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

RedisFacts look_at(const RedisUrl& url) {
    net::OutboundOptions options;
    options.host = url.host;
    options.port = url.port;
    options.tls = url.tls;
    Redis redis(std::move(options));
    RedisFacts out;
    if (!url.password.empty()) {
        const auto said = url.user.empty() ? redis.ask({"AUTH", url.password})
                                           : redis.ask({"AUTH", url.user, url.password});
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

std::optional<RedisUrl> RedisUrl::parse(std::string_view text) {
    RedisUrl out;
    if (text.starts_with("rediss://")) {
        out.tls = true;
        text.remove_prefix(9);
    } else if (text.starts_with("redis://")) {
        text.remove_prefix(8);
    } else {
        return std::nullopt;
    }
    text = text.substr(0, text.find_first_of("/?"));
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        const auto who = text.substr(0, at);
        const auto colon = who.find(':');
        if (colon == std::string_view::npos) return std::nullopt;
        out.user = decoded(who.substr(0, colon));
        out.password = decoded(who.substr(colon + 1));
        text.remove_prefix(at + 1);
    }
    text = text.substr(0, text.find(','));
    const auto colon = text.rfind(':');
    if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
        const auto digits = text.substr(colon + 1);
        if (std::from_chars(digits.data(), digits.data() + digits.size(), out.port).ptr !=
            digits.data() + digits.size())
            return std::nullopt;
        text = text.substr(0, colon);
    }
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    out.host = text;
    if (out.host.empty()) return std::nullopt;
    return out;
}

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
        "maxmemory-policy = " + facts.policy + ": leases and revocations vanish when memory is short",
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
    const auto url = RedisUrl::parse(given.reveal());
    if (!url) return {{reach, not_looked_at("redis.url is of a form that is not looked at here")}};
    try {
        const auto facts = look_at(*url);
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
