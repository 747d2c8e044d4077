#include "client_address.hpp"

#include <supd/http/limits.hpp>

#include <string>

namespace supd::http {

namespace {

// 192.0.2.1:5678 and [2001:db8::1]:5678 are written by some proxies.
std::string without_port(std::string_view entry) {
    if (entry.starts_with('[')) {
        const auto end = entry.find(']');
        return std::string(entry.substr(1, end == std::string_view::npos ? end : end - 1));
    }
    const auto colon = entry.find(':');
    const bool one = colon != std::string_view::npos && entry.find(':', colon + 1) == std::string_view::npos;
    return std::string(entry.substr(0, one ? colon : std::string_view::npos));
}

}  // namespace

Client client_of(const Head& head, const boost::asio::ip::address& peer, bool secure,
                 const std::vector<net::Network>& trusted) {
    Client out{net::unmapped(peer), secure};
    if (trusted.empty() || !net::any_contains(trusted, out.address)) return out;

    std::string list;
    for (const auto& [name, value] : head.headers) {
        if (name == "x-forwarded-for") list += (list.empty() ? "" : ",") + value;
        if (name == "x-forwarded-proto") {
            const auto comma = value.rfind(',');
            const auto last = std::string_view(value).substr(comma == std::string::npos ? 0 : comma + 1);
            out.secure = same_token(without_spaces(last), "https");
        }
    }
    std::string_view rest = list;
    for (std::size_t hop = 0; hop < kMaxForwardedHops && !rest.empty(); ++hop) {
        const auto comma = rest.rfind(',');
        const auto entry = without_spaces(rest.substr(comma == std::string_view::npos ? 0 : comma + 1));
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(0, comma);
        boost::system::error_code error;
        const auto address = boost::asio::ip::make_address(without_port(entry), error);
        if (error) break;
        out.address = net::unmapped(address);
        if (!net::any_contains(trusted, out.address)) break;
    }
    return out;
}

}  // namespace supd::http
