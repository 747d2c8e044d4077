#include "answer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace supd::http {
namespace {

std::string_view reason_of(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 206:
            return "Partial Content";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 416:
            return "Range Not Satisfiable";
        default:
            return base::status_title(status);
    }
}

// IMF-fixdate (RFC 9110 5.6.7), made once a second per thread.
std::string_view http_date() {
    thread_local std::time_t made = 0;
    thread_local std::array<char, 64> text{};
    const auto now = std::time(nullptr);
    if (now != made) {
        std::tm tm{};
        gmtime_r(&now, &tm);
        static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[tm.tm_wday],
                      tm.tm_mday, kMonths[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        made = now;
    }
    return text.data();
}

bool has_header(const Reply& reply, std::string_view name) {
    return std::any_of(reply.headers.begin(), reply.headers.end(),
                       [&](const auto& header) { return same_token(header.first, name); });
}

void add(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
}

bool is_safe(std::string_view value) {
    return std::none_of(value.begin(), value.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
}

}  // namespace

std::string answer_head(const Reply& reply, const AnswerContext& context) {
    std::string out;
    out.reserve(640);
    out += context.http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ";
    out += std::to_string(reply.status);
    out += ' ';
    out += reason_of(reply.status);
    out += "\r\n";
    add(out, "Date", http_date());
    const bool no_body = reply.status == 204 || reply.status == 304;
    if (!no_body) {
        if (!reply.content_type.empty()) add(out, "Content-Type", reply.content_type);
        add(out, "Content-Length", std::to_string(reply.body.size()));
    }
    for (const auto& [name, value] : reply.headers)
        if (is_safe(value)) add(out, name, value);
    if (!has_header(reply, "Cache-Control")) add(out, "Cache-Control", "no-store");
    if (!has_header(reply, "Content-Security-Policy"))
        add(out, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    out +=
        "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"
        "Cross-Origin-Resource-Policy: cross-origin\r\n";
    if (context.secure) add(out, "Strict-Transport-Security", "max-age=31536000");
    if (context.vary_origin) add(out, "Vary", "Origin");
    if (!context.origin.empty()) {
        add(out, "Access-Control-Allow-Origin", context.origin);
        out +=
            "Access-Control-Expose-Headers: X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, "
            "RateLimit-Reset, Idempotent-Replayed, traceparent\r\n";
    }
    if (!context.request_id.empty()) add(out, "X-Request-Id", context.request_id);
    if (context.close)
        out += "Connection: close\r\n";
    else if (context.http_1_0)
        out += "Connection: keep-alive\r\n";
    out += "\r\n";
    return out;
}

Reply problem_reply(const base::Error& error, std::string_view request_id) {
    auto out = Reply::json(base::problem_json(error, request_id), error.status());
    out.content_type = "application/problem+json";
    for (const auto& header : error.headers())
        out.headers.push_back(header);
    return out;
}

Reply problem_reply(const Fault& fault, std::string_view request_id) {
    return problem_reply(base::Error(fault.status, std::string(fault.code), std::string(fault.detail)),
                         request_id);
}

void add_rate_headers(Reply& reply, const Verdict& verdict) {
    if (!verdict.counted || has_header(reply, "RateLimit-Limit")) return;
    reply.headers.emplace_back("RateLimit-Limit", std::to_string(verdict.limit));
    reply.headers.emplace_back("RateLimit-Remaining", std::to_string(verdict.remaining));
    reply.headers.emplace_back("RateLimit-Reset", std::to_string(verdict.reset_s));
}

bool allows_origin(const ServerOptions& options, std::string_view origin) {
    return std::find(options.cors_origins.begin(), options.cors_origins.end(), origin) !=
           options.cors_origins.end();
}

Reply options_reply(const Head& head, const std::vector<std::string_view>& allowed, bool cors) {
    auto out = Reply::no_content();
    std::string methods;
    for (const auto method : allowed) {
        if (!methods.empty()) methods += ", ";
        methods += method;
        if (method == "GET") methods += ", HEAD";
    }
    methods += methods.empty() ? "OPTIONS" : ", OPTIONS";
    out.headers.emplace_back("Allow", methods);
    if (!cors || !head.header("access-control-request-method")) return out;
    out.headers.emplace_back("Access-Control-Allow-Methods", methods);
    out.headers.emplace_back("Access-Control-Allow-Headers",
                             "Authorization, Content-Type, Idempotency-Key, X-Request-Id, X-Correlation-Id, "
                             "traceparent");
    out.headers.emplace_back("Access-Control-Max-Age", "7200");
    return out;
}

bool accepts(const Head& head, std::string_view type) {
    const auto slash = type.find('/');
    bool any = false, allowed = false;
    for (const auto& [name, value] : head.headers) {
        if (name != "accept") continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const auto comma = std::min(rest.find(','), rest.size());
            const auto range = rest.substr(0, comma);
            rest.remove_prefix(std::min(comma + 1, rest.size()));
            const auto semicolon = std::min(range.find(';'), range.size());
            const auto media = without_spaces(range.substr(0, semicolon));
            if (media.empty()) continue;
            any = true;
            const bool matches = media == "*/*" || same_token(media, type) ||
                                 (media.ends_with("/*") &&
                                  same_token(media.substr(0, media.size() - 2), type.substr(0, slash)));
            if (!matches) continue;
            // q=0, q=0.0 ... says never.
            const auto q = range.find("q=", semicolon);
            const auto weight = q == std::string_view::npos ? "1" : range.substr(q + 2);
            if (weight.find_first_of("123456789") != std::string_view::npos) allowed = true;
        }
    }
    return !any || allowed;
}

}  // namespace supd::http
