// One HTTP/1.1 request to another server, on a connection of its own (RFC 9112); blocking, see
// net/outbound.hpp for where it may run. For commands and exporters, not for what a client's request waits
// for. Follows no redirects.
#pragma once

#include <supd/net/outbound.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::http {

struct Url {
    bool tls = false;
    std::string host;  ///< without brackets
    std::uint16_t port = 0;
    std::string path;  ///< with the query; without a slash at the end, so "" for a bare origin

    /// http://host[:port][/path] or https://...; nullopt for anything else (also user:password@).
    static std::optional<Url> parse(std::string_view text);
    /// Host header: the port only when it is not the usual one.
    std::string authority() const;
};

struct FetchRequest {
    std::string method = "GET";
    Url url;
    std::string target;  ///< appended to url.path: "/livez"
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    /// Instead of `body`: `length` bytes, asked for in pieces until all have come. Throwing breaks it off.
    std::uint64_t length = 0;
    std::function<std::string()> next_piece;
    /// Takes the body of a 2xx answer, of any size; FetchAnswer::body then stays empty.
    std::function<void(std::string_view)> sink;
    std::chrono::milliseconds timeout{5000};  ///< for everything; with `silence` for the connection alone
    /// Then: how long nothing may be sent and nothing received.
    std::optional<std::chrono::milliseconds> silence;
    bool verify = true;
    std::string ca_file;  ///< see net::OutboundOptions
};

struct FetchAnswer {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;
    std::optional<net::PeerCertificate> certificate;
    std::string local_address;  ///< from where it was asked

    std::string_view header(std::string_view lower_case_name) const;  ///< empty when there is none
};

inline constexpr std::size_t kMaxFetchedBytes = 4U << 20U;

/// Throws net::OutboundError; Kind::broken also for an answer that is not HTTP, or larger than
/// kMaxFetchedBytes without a sink. A server that answers before it has read the whole body is listened to.
FetchAnswer fetch(const FetchRequest& request);

}  // namespace supd::http
