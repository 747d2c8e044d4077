#include "doctor_redis.hpp"

#include <supd/net/outbound.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace supd::app {
namespace {

constexpr double kFullWarns = 0.8;
constexpr std::size_t kMaxReply = 1024 * 1024;
constexpr long kMaxItems = 64;

// One command after the other, in RESP2.
class Redis {
public:
    explicit Redis(net::OutboundOptions options) : connection_(std::move(options)) {}

    /// The reply's text; an error reply keeps its "-".
    std::string ask(const std::vector<std::string>& words) { return ask_list(words).front(); }

    /// The texts of a list; of any other reply the one text.
    std::vector<std::string> ask_list(const std::vector<std::string>& words) {
        std::string request = "*" + std::to_string(words.size()) + "\r\n";
        for (const auto& word : words)
            request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
        connection_.write(request);
        const auto first = line();
        if (!first.starts_with('*')) return {text(first)};
        std::vector<std::string> out;
        const auto items = std::min(std::atol(first.c_str() + 1), kMaxItems);
        for (long i = 0; i < items; ++i)
            out.push_back(text(line()));
        if (out.empty()) out.emplace_back();
        return out;
    }

private:
    std::string text(const std::string& line) {
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

std::string text_of(const cache::Endpoint& endpoint) {
    return endpoint.host + ":" + std::to_string(endpoint.port);
}

net::OutboundOptions way_to(const cache::Endpoint& endpoint, const cache::Url& url,
                            const std::string& ca_file) {
    net::OutboundOptions options;
    options.host = endpoint.host;
    options.port = endpoint.port;
    options.tls = url.tls;
    options.ca_file = ca_file;
    return options;
}

// What one sentinel says; `problem` when it says nothing of use.
struct SentinelAnswer {
    std::optional<cache::Endpoint> master;
    std::string problem;
};

SentinelAnswer ask_sentinel(const cache::Endpoint& sentinel, const cache::Url& url,
                            const std::string& ca_file) {
    try {
        Redis connection(way_to(sentinel, url, ca_file));
        if (!url.sentinel_password.empty()) {
            const auto said = connection.ask({"AUTH", url.sentinel_password.reveal()});
            if (said != "OK") return {{}, said.substr(0, 200)};
        }
        const auto said = connection.ask_list({"SENTINEL", "get-master-addr-by-name", url.master});
        if (said.size() != 2)
            return {{}, said.front().empty() ? "it does not know the master" : said.front().substr(0, 200)};
        const auto port = std::atol(said[1].c_str());
        if (port < 1 || port > 65535) return {{}, "it names no port"};
        return {cache::Endpoint{said[0], static_cast<std::uint16_t>(port)}, ""};
    } catch (const net::OutboundError& error) {
        return {{}, error.what()};
    }
}

SentinelFacts look_at_sentinels(const cache::Url& url, const std::string& ca_file) {
    SentinelFacts out;
    for (const auto& sentinel : url.endpoints) {
        const auto answer = ask_sentinel(sentinel, url, ca_file);
        if (answer.master)
            out.masters.push_back(*answer.master);
        else
            out.problems.push_back(text_of(sentinel) + ": " + answer.problem);
    }
    return out;
}

RedisFacts look_at(const cache::Endpoint& endpoint, const cache::Url& url, const std::string& ca_file) {
    Redis redis(way_to(endpoint, url, ca_file));
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

Judgement judge_sentinels(const SentinelFacts& facts) {
    const auto asked = facts.masters.size() + facts.problems.size();
    const std::string count = std::to_string(facts.masters.size()) + " of " + std::to_string(asked);
    const auto problem = facts.problems.empty() ? "" : " (" + facts.problems.front() + ")";
    if (facts.masters.empty())
        return fails("none of " + std::to_string(asked) + " sentinels names the master" + problem,
                     "check the hosts, the master's name and sentinel_password in redis.url");
    const auto& master = facts.masters.front();
    const bool agree = std::ranges::all_of(facts.masters, [&](const auto& each) { return each == master; });
    if (!agree)
        return warns("the sentinels name different masters",
                     "a fail-over may be under way; if it stays, look at SENTINEL MASTER of each");
    if (!facts.problems.empty())
        return warns(count + " sentinels name the master" + problem,
                     "mend the others: a fail-over needs the most of them");
    return all_well(count + " sentinels name " + text_of(master));
}

Findings examine_redis(const Patient& patient) {
    const char* reach = "redis.reachable";
    const auto& given = patient.config().redis.url;
    if (given.empty()) return {{reach, not_looked_at("no redis.url: a single process needs none")}};
    const auto url = cache::parse_url(given.reveal());  // a valid one, or nobody comes here
    const auto& ca_file = patient.config().redis.ca_file;
    Findings out;
    auto endpoint = url.endpoints.front();
    if (url.layout == cache::Layout::sentinel) {
        const auto facts = look_at_sentinels(url, ca_file);
        out.push_back({"redis.sentinels", judge_sentinels(facts)});
        if (facts.masters.empty()) return out;
        endpoint = facts.masters.front();
    }
    try {
        const auto facts = look_at(endpoint, url, ca_file);
        out.push_back({reach, judge_redis_answer(facts)});
        if (!facts.refusal.empty()) return out;
        out.push_back({"redis.eviction", judge_redis_eviction(facts)});
        out.push_back({"redis.memory", judge_redis_memory(facts)});
    } catch (const net::OutboundError& error) {
        out.push_back({reach, fails(error.what(), "start Redis, and check redis.url and the firewall")});
    }
    return out;
}

}  // namespace supd::app
