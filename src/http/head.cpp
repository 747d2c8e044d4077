#include "head.hpp"

#include <supd/http/limits.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace supd::http {
namespace {

constexpr auto kTokenChars = [] {
    std::array<bool, 256> table{};
    for (char c = '0'; c <= '9'; ++c)
        table[static_cast<unsigned char>(c)] = true;
    for (char c = 'a'; c <= 'z'; ++c)
        table[static_cast<unsigned char>(c)] = true;
    for (char c = 'A'; c <= 'Z'; ++c)
        table[static_cast<unsigned char>(c)] = true;
    for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return kTokenChars[static_cast<unsigned char>(c)]; });
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

Fault bad(std::string_view detail) {
    return {400, "malformed_request", detail};
}

// Field values: visible characters, spaces, tabs and obs-text; no other control character (RFC 9110 5.5).
bool is_field_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u == '\t' || (u >= 0x20 && u != 0x7F);
    });
}

bool is_target(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u > 0x20 && u < 0x7F && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\' &&
               c != '^' && c != '`' && c != '{' && c != '|' && c != '}';
    });
}

bool is_host(std::string_view text) {
    return !text.empty() && text.size() <= 262 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
               std::string_view("-._~:[]").find(c) != std::string_view::npos;
    });
}

std::optional<Fault> read_request_line(std::string_view line, Head& head) {
    const auto first = line.find(' ');
    const auto method = line.substr(0, first);
    if (!is_token(method)) return bad("The method is not a token.");
    if (first == std::string_view::npos) return bad("The request line needs method, target and version.");
    if (method.size() > 32) return Fault{501, "not_implemented", "This method is not known here."};
    const auto second = line.find(' ', first + 1);
    const auto target =
        line.substr(first + 1, second == std::string_view::npos ? second : second - first - 1);
    if (target.size() > kMaxTargetBytes) return Fault{414, "uri_too_long", "The target is too long."};
    if (second == std::string_view::npos) return bad("The request line needs method, target and version.");
    const auto version = line.substr(second + 1);
    if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' || version[5] < '0' ||
        version[5] > '9' || version[7] < '0' || version[7] > '9')
        return bad("The version is malformed.");
    if (version[5] != '1') return Fault{505, "http_version_not_supported", "HTTP/1.1 is spoken here."};
    if (target.empty() || !is_target(target)) return bad("The target holds characters that must be encoded.");
    // absolute-form and authority-form are for proxies, which this is not.
    if (target.front() != '/' && !(target == "*" && method == "OPTIONS"))
        return bad("The target must be a path that begins with /.");
    head.method = method;
    head.target = target;
    head.http_1_0 = version[7] == '0';
    head.keep_alive = !head.http_1_0;
    return std::nullopt;
}

struct Seen {
    int hosts = 0;
    bool transfer_encoding = false;
};

std::optional<Fault> read_length(std::string_view value, Head& head) {
    std::uint64_t length = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
    const bool digits = !value.empty() &&
                        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || parsed.ec != std::errc{}) return bad("Content-Length is not a number.");
    if (head.content_length) return bad("More than one Content-Length.");
    head.content_length = length;
    return std::nullopt;
}

std::optional<Fault> read_field(std::string_view name, std::string_view value, Head& head, Seen& seen) {
    if (name == "host") {
        if (++seen.hosts > 1) return bad("More than one Host.");
        if (!is_host(value)) return bad("Host is malformed.");
    } else if (name == "content-length") {
        return read_length(value, head);
    } else if (name == "transfer-encoding") {
        if (seen.transfer_encoding) return bad("More than one Transfer-Encoding.");
        seen.transfer_encoding = true;
        if (!same_token(value, "chunked")) return bad("The only transfer coding is chunked.");
        head.chunked = true;
    } else if (name == "connection") {
        if (lists_token(value, "close"))
            head.keep_alive = false;
        else if (head.http_1_0 && lists_token(value, "keep-alive"))
            head.keep_alive = true;
    } else if (name == "expect") {
        if (!same_token(value, "100-continue"))
            return Fault{417, "expectation_failed", "The only expectation is 100-continue."};
        head.expects_continue = !head.http_1_0;
    }
    return std::nullopt;
}

std::optional<Fault> check_framing(const Head& head, const Seen& seen) {
    if (head.chunked && head.content_length) return bad("Content-Length and Transfer-Encoding together.");
    if (head.chunked && head.http_1_0) return bad("HTTP/1.0 has no Transfer-Encoding.");
    if (!head.http_1_0 && seen.hosts == 0) return bad("Host is missing.");
    // A length of nothing need not be told (RFC 9112 6.3), but who names a type means to send a body.
    if (!head.chunked && !head.content_length && (head.http_1_0 || head.header("content-type")) &&
        (head.method == "POST" || head.method == "PUT" || head.method == "PATCH"))
        return Fault{411, "length_required", "Content-Length is missing."};
    return std::nullopt;
}

}  // namespace

std::string_view without_spaces(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

bool same_token(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool lists_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        if (same_token(without_spaces(list.substr(0, comma)), token)) return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

std::optional<std::string_view> Head::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return std::nullopt;
}

HeadEnd find_head_end(std::string_view bytes, std::size_t& scanned) {
    HeadEnd out;
    if (!bytes.empty() && !kTokenChars[static_cast<unsigned char>(bytes.front())]) {
        out.state = HeadEnd::State::refused;
        out.fault = bad("This is not an HTTP request.");
        return out;
    }
    const auto window = bytes.substr(0, kMaxHeaderBytes);
    for (auto at = window.find('\n', scanned); at != std::string_view::npos; at = window.find('\n', at + 1)) {
        if (at == 0 || window[at - 1] != '\r') {
            out.state = HeadEnd::State::refused;
            out.fault = bad("Lines end with CR LF.");
            return out;
        }
        if (at >= 3 && window[at - 2] == '\n') {
            out.state = HeadEnd::State::found;
            out.size = at + 1;
            return out;
        }
    }
    scanned = window.size();
    if (bytes.size() >= kMaxHeaderBytes) {
        out.state = HeadEnd::State::refused;
        const auto line = window.find('\n');
        if (line == std::string_view::npos || line > kMaxTargetBytes + 64)
            out.fault = {414, "uri_too_long", "The target is too long."};
        else
            out.fault = {431, "header_too_large", "The header fields are too large."};
    }
    return out;
}

std::variant<Head, Fault> parse_head(std::string_view bytes) {
    Head head;
    Seen seen;
    auto end = bytes.find("\r\n");
    if (end == std::string_view::npos) return bad("There is no request line.");
    if (auto fault = read_request_line(bytes.substr(0, end), head)) return *fault;
    bytes.remove_prefix(end + 2);
    while (!bytes.starts_with("\r\n")) {
        end = bytes.find("\r\n");
        if (end == std::string_view::npos) return bad("The header does not end.");
        const auto line = bytes.substr(0, end);
        bytes.remove_prefix(end + 2);
        const auto colon = line.find(':');
        if (line.front() == ' ' || line.front() == '\t') return bad("Folded header lines are obsolete.");
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
            return bad("A header field is a name, a colon and a value.");
        const auto value = without_spaces(line.substr(colon + 1));
        if (!is_field_value(value)) return bad("A header value holds control characters.");
        if (head.headers.size() == kMaxHeaderFields)
            return Fault{431, "header_too_large", "Too many header fields."};
        auto name = lower_case(line.substr(0, colon));
        if (auto fault = read_field(name, value, head, seen)) return *fault;
        head.headers.emplace_back(std::move(name), std::string(value));
    }
    if (auto fault = check_framing(head, seen)) return *fault;
    const auto upgrade = head.header("upgrade");
    const auto connection = head.header("connection");
    head.upgrade_websocket = upgrade && connection && !head.http_1_0 && lists_token(*upgrade, "websocket") &&
                             lists_token(*connection, "upgrade");
    return head;
}

Head fields_of_refused(std::string_view bytes) {
    Head out;
    bytes = bytes.substr(0, kMaxHeaderBytes);
    for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
        auto line = bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || out.headers.size() == kMaxHeaderFields) break;
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) continue;
        const auto value = without_spaces(line.substr(colon + 1));
        if (is_field_value(value))
            out.headers.emplace_back(lower_case(line.substr(0, colon)), std::string(value));
    }
    return out;
}

}  // namespace supd::http
