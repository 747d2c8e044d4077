#include "doctor_proxy.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/base/clock.hpp>

#include <boost/asio/ip/address.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdlib>
#include <ctime>

namespace supd::app {
namespace {

constexpr int kPostAttempts = 3;
constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kCertificateFails = 3;   // days
constexpr std::int64_t kCertificateWarns = 20;  // certbot renews 30 days before the end
constexpr std::int64_t kClockWarns = 5;         // seconds; Date has no fractions, and the way takes time
constexpr std::int64_t kClockFails = 60;

http::FetchAnswer get(const http::Url& url, const std::string& target, bool verify) {
    http::FetchRequest request;
    request.url = url;
    request.target = target;
    request.verify = verify;
    request.headers = {{"X-Forwarded-For", std::string(kForgedAddress)}};
    return http::fetch(request);
}

int post_status(const http::Url& url, std::size_t bytes, bool verify) {
    http::FetchRequest request;
    request.method = "POST";
    request.url = url;
    request.target = "/api/v1/auth/refresh";  // blanks are no token: refused, and what counts is by whom
    request.verify = verify;
    request.headers = {{"Content-Type", "application/json"}};
    request.body.assign(bytes, ' ');
    // An answer to what is still on its way is lost now and then: whoever refuses it may close with bytes
    // unread.
    for (int attempt = 1;; ++attempt) {
        try {
            return http::fetch(request).status;
        } catch (const net::OutboundError& error) {
            if (error.kind() != net::OutboundError::Kind::broken || attempt == kPostAttempts) return 0;
        }
    }
}

std::string connect_mend(net::OutboundError::Kind kind) {
    switch (kind) {
        case net::OutboundError::Kind::resolve:
            return "make a DNS record for that name, or correct --url";
        case net::OutboundError::Kind::connect:
            return "start the proxy, and open the port in the firewall";
        case net::OutboundError::Kind::tls:
            return "give the proxy the certificate of that name with its whole chain (fullchain.pem)";
        case net::OutboundError::Kind::timeout:
        case net::OutboundError::Kind::broken:
            break;
    }
    return "see the proxy's error log, and whether it reaches supd";
}

// Of the routes of accounts, one of which is asked. What is larger would be on its way still when supd
// refuses it.
std::size_t body_limit(const http::Url& url, bool verify) {
    const auto parsed = nlohmann::json::parse(get(url, "/api/v1/server", verify).body, nullptr, false);
    if (!parsed.is_object()) return accounts::kBodyLimit;
    const auto limits = parsed.find("limits");
    if (limits == parsed.end() || !limits->is_object()) return accounts::kBodyLimit;
    return limits->value("account_body_bytes", accounts::kBodyLimit);
}

void examine_client(const http::Url& url, bool verify, Findings& out) {
    const auto answer = get(url, "/api/v1/client", verify);
    const auto seen = nlohmann::json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || !seen.is_object()) {
        out.push_back(
            {"proxy.client_address", fails("/api/v1/client answers " + std::to_string(answer.status),
                                           "let the proxy pass /api/ to supd unchanged")});
        return;
    }
    out.push_back({"proxy.client_address",
                   judge_client_address(answer.local_address, seen.value("address", std::string()))});
    out.push_back({"proxy.scheme", judge_scheme(url.tls, seen.value("secure", false))});
}

void examine_reached(const http::Url& url, const http::FetchAnswer& first, const DoctorOptions& options,
                     Findings& out) {
    const auto now = base::wall_clock_ms() / 1000;
    const bool verify = false;  // what is wrong with the certificate has been said once
    if (first.certificate)
        out.push_back({"proxy.certificate", judge_certificate(*first.certificate, now)});
    else
        out.push_back({"proxy.certificate", not_looked_at("the URL is plain http")});
    out.push_back({"clock.http", judge_date(std::string(first.header("date")), now)});
    examine_client(url, verify, out);
    const auto limit = body_limit(url, verify);
    out.push_back({"proxy.body_limit", judge_bodies(post_status(url, limit, verify),
                                                    post_status(url, limit + 1, verify), limit)});
    const auto metrics = get(url, "/metrics", verify);
    out.push_back({"proxy.metrics_hidden", judge_metrics_hidden(metrics.status, metrics.body)});
    auto socket = examine_socket(url, verify, options);
    std::ranges::move(socket, std::back_inserter(out));
}

}  // namespace

Judgement judge_client_address(const std::string& own, const std::string& seen) {
    if (seen == kForgedAddress)
        return fails("supd believes any X-Forwarded-For: everybody can be anybody, rate limits are void",
                     "the proxy must set the header itself (nginx: proxy_set_header X-Forwarded-For "
                     "$proxy_add_x_forwarded_for), and server.trusted_proxies must name only proxies");
    if (seen == own) return all_well("supd sees the real address");
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(seen, error);
    const bool v4 = !error && address.is_v4();
    const auto first = v4 ? address.to_v4().to_bytes()[0] : 0;
    const auto second = v4 ? address.to_v4().to_bytes()[1] : 0;
    const bool inner =
        v4 ? first == 10 || first == 127 || (first == 172 && (second & 0xF0U) == 16) ||
                 (first == 192 && second == 168)
           : !error && (address.is_loopback() || (address.to_v6().to_bytes()[0] & 0xFEU) == 0xFC);
    if (!error && !inner)
        return all_well("supd sees " + seen + ", we asked from " + own + ": an address translation between");
    return fails("supd takes us for " + seen + ", we asked from " + own +
                     ": all clients are one, and share one rate limit",
                 "name the proxy's network in server.trusted_proxies, and let the proxy send "
                 "X-Forwarded-For");
}

Judgement judge_scheme(bool https, bool seen_secure) {
    if (https == seen_secure) return all_well(https ? "supd knows that it is https" : "plain http");
    if (https)
        return fails("supd takes https for http: no Strict-Transport-Security",
                     "the proxy must set X-Forwarded-Proto (nginx: proxy_set_header X-Forwarded-Proto "
                     "$scheme)");
    return fails("supd takes http for https", "the proxy must set X-Forwarded-Proto to what the client used");
}

Judgement judge_certificate(const net::PeerCertificate& shown, std::int64_t now) {
    const auto days = (shown.not_after - now) / kDay;
    const std::string renew = "renew it, reload the proxy, and mend the renewal's timer";
    if (shown.not_after <= now) return fails("it has expired", renew);
    if (shown.not_before > now) return fails("it is not valid yet", "set the clock, or wait");
    if (!shown.fault.empty())
        return fails("clients do not trust it: " + shown.fault,
                     shown.sent < 2 ? "send the whole chain (fullchain.pem), for a name that it holds"
                                    : "get one from a public authority for the name in --url");
    const std::string found = "trusted, " + shown.protocol + ", ends in " + std::to_string(days) + " days";
    if (days < kCertificateFails) return fails(found, renew);
    return days < kCertificateWarns ? warns(found, renew) : all_well(found);
}

Judgement judge_bodies(int at_the_limit, int over_it, std::size_t limit) {
    const std::string size = human_bytes(static_cast<double>(limit));
    if (at_the_limit == 429 || over_it == 429)
        return not_looked_at("the rate limit of this address is used up: again in a minute");
    if (at_the_limit == 413 || at_the_limit == 0)
        return fails("a body of " + size + ", which supd takes, does not get through",
                     "raise the proxy's limit (nginx: client_max_body_size) to at least " +
                         std::to_string(limit) + " bytes");
    if (over_it != 413)
        return warns("a body that is too large is not refused with 413 but with " + std::to_string(over_it),
                     "let the proxy pass supd's answer on, and refuse with 413 itself");
    return all_well("bodies up to " + size + " get through, larger ones are refused");
}

Judgement judge_metrics_hidden(int status, std::string_view body) {
    if (status == 200 && body.find("# TYPE ") != std::string_view::npos)
        return fails("/metrics can be read by everybody",
                     "pass only the public listener's port to the outside, never the admin listener's");
    return all_well("metrics and admin routes cannot be reached");
}

Judgement judge_date(const std::string& date, std::int64_t now) {
    std::tm parts{};
    const char* end = strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (date.empty() || end == nullptr) return not_looked_at("the answer has no Date");
    const auto off = timegm(&parts) - now;
    if (std::abs(off) < kClockWarns) return all_well("the server's clock and ours agree");
    const std::string found = "the server's clock is " + std::to_string(std::abs(off)) + " s " +
                              (off > 0 ? "ahead of ours" : "behind ours");
    const std::string mend = "run chrony or systemd-timesyncd on both machines";
    return std::abs(off) >= kClockFails ? fails(found, mend) : warns(found, mend);
}

Findings examine_proxy(const Patient& patient) {
    const char* reach = "proxy.reachable";
    if (patient.options.url.empty())
        return {{reach, not_looked_at("name the server's public address with --url https://...")}};
    const auto url = http::Url::parse(patient.options.url);
    if (!url) return {{reach, fails("--url is no URL like https://chat.example.org", "correct --url")}};
    Findings out;
    try {
        const auto first = get(*url, "/.well-known/supd", false);
        const auto discovery = nlohmann::json::parse(first.body, nullptr, false);
        if (first.status != 200 || !discovery.is_object() || !discovery.contains("websocket"))
            return {{reach, fails("/.well-known/supd answers " + std::to_string(first.status) +
                                      " and not as supd does",
                                  "let the proxy pass / to supd; 502 and 504: it does not reach supd")}};
        out.push_back({reach, all_well("supd " + discovery.value("version", std::string("?")) + " answers")});
        examine_reached(*url, first, patient.options, out);
    } catch (const net::OutboundError& error) {
        out.push_back({reach, fails(error.what(), connect_mend(error.kind()))});
    }
    return out;
}

}  // namespace supd::app
