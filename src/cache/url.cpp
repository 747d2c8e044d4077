#include <supd/cache/url.hpp>

#include <charconv>
#include <optional>
#include <stdexcept>

namespace supd::cache {
namespace {

[[noreturn]] void refuse(const char* why) {
    throw std::invalid_argument(why);
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    refuse("a % stands before two hexadecimal digits");
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) refuse("a % stands before two hexadecimal digits");
        out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
        i += 2;
    }
    return out;
}

/// The part before the first `mark`, which is taken away with it; all of it when there is none.
std::string_view cut(std::string_view& rest, char mark) {
    const auto at = rest.find(mark);
    const auto out = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
    return out;
}

template <class Number>
std::optional<Number> number(std::string_view text, Number most) {
    Number out{};
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (fault != std::errc() || end != text.data() + text.size() || out > most) return std::nullopt;
    return out;
}

Endpoint endpoint_of(std::string_view text, std::uint16_t usual) {
    Endpoint out;
    out.port = usual;
    std::string_view port;
    if (text.starts_with('[')) {  // IPv6, RFC 3986 section 3.2.2
        const auto end = text.find(']');
        if (end == std::string_view::npos) refuse("a [ in the host has no ]");
        out.host = text.substr(1, end - 1);
        port = text.substr(end + 1);
        if (!port.empty() && !port.starts_with(':')) refuse("after the ] of a host comes nothing but a port");
        if (port.starts_with(':') && port.size() == 1) refuse("the port is not a number from 1 to 65535");
        if (!port.empty()) port.remove_prefix(1);
    } else {
        const auto colon = text.find(':');
        out.host = text.substr(0, colon);
        if (colon != std::string_view::npos) {
            port = text.substr(colon + 1);
            if (port.empty()) refuse("the port is not a number from 1 to 65535");
        }
    }
    if (out.host.empty()) refuse("the host is missing");
    if (!port.empty()) {
        const auto value = number<unsigned>(port, 65'535);
        if (!value || *value == 0) refuse("the port is not a number from 1 to 65535");
        out.port = static_cast<std::uint16_t>(*value);
    }
    return out;
}

void read_scheme(Url& url, std::string_view scheme) {
    if (scheme.starts_with("rediss")) {
        url.tls = true;
        scheme.remove_prefix(6);
    } else if (scheme.starts_with("redis")) {
        scheme.remove_prefix(5);
    } else {
        refuse("it must begin with redis:// or rediss://");
    }
    if (scheme == "+sentinel")
        url.layout = Layout::sentinel;
    else if (scheme == "+cluster")
        url.layout = Layout::cluster;
    else if (!scheme.empty())
        refuse("after redis or rediss comes nothing, +sentinel or +cluster");
}

void read_path(Url& url, std::string_view path) {
    if (url.layout == Layout::sentinel) {
        url.master = decoded(cut(path, '/'));
        if (url.master.empty()) refuse("the name of the master is missing: redis+sentinel://host/name");
    }
    if (path.empty()) return;
    if (url.layout == Layout::cluster) refuse("a cluster has no database number");
    const auto database = number<int>(path, kMaxDatabase);
    if (!database || *database < 0) refuse("the database is not a number from 0 to 15");
    url.database = *database;
}

void read_query(Url& url, std::string_view query) {
    while (!query.empty()) {
        auto value = cut(query, '&');
        const auto name = cut(value, '=');
        if (name != "sentinel_password" || url.layout != Layout::sentinel)
            refuse("the only parameter is sentinel_password, and only of redis+sentinel://");
        url.sentinel_password = base::Secret(decoded(value));
    }
}

}  // namespace

Url parse_url(std::string_view text) {
    Url out;
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) refuse("it must begin with redis:// or rediss://");
    read_scheme(out, text.substr(0, scheme_end));
    auto rest = text.substr(scheme_end + 3);
    auto before_query = cut(rest, '?');
    read_query(out, rest);
    auto authority = cut(before_query, '/');
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        auto password = authority.substr(0, at);
        out.user = decoded(cut(password, ':'));
        out.password = base::Secret(decoded(password));
        if (out.password.empty()) refuse("before the @ stands user:password or :password");
        authority.remove_prefix(at + 1);
    }
    const auto usual = out.layout == Layout::sentinel ? kSentinelPort : kPort;
    if (authority.empty()) refuse("the host is missing");
    while (!authority.empty()) {
        if (authority.ends_with(',')) refuse("the host is missing");
        out.endpoints.push_back(endpoint_of(cut(authority, ','), usual));
    }
    if (out.endpoints.size() > kMaxEndpoints) refuse("more than 32 hosts");
    if (out.layout == Layout::single && out.endpoints.size() != 1)
        refuse("several hosts are for redis+sentinel:// and redis+cluster://");
    read_path(out, before_query);
    return out;
}

}  // namespace supd::cache
