// The strict reading of a request's head (RFC 9112 sections 2 to 7): where two readers could disagree about
// where a message ends or whom it is for, it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace supd::http {

/// Why a message is refused. Always the end of the connection.
struct Fault {
    int status = 400;
    std::string_view code;
    std::string_view detail;
};

struct Head {
    std::string method;
    std::string target;  ///< origin-form as sent, or "*"
    bool http_1_0 = false;
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case, values trimmed
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool keep_alive = true;
    bool expects_continue = false;
    bool upgrade_websocket = false;

    std::optional<std::string_view> header(std::string_view name) const;
    bool has_body() const noexcept { return chunked || content_length.value_or(0) > 0; }
};

/// Looks for the end of the head in bytes that may be incomplete. `scanned` is where the last call stopped.
struct HeadEnd {
    enum class State { more, found, refused } state = State::more;
    std::size_t size = 0;  ///< of the head with its empty line, when found
    Fault fault;
};
HeadEnd find_head_end(std::string_view bytes, std::size_t& scanned);

/// `bytes`: exactly one head, as found above.
std::variant<Head, Fault> parse_head(std::string_view bytes);

/// The fields of a head that is refused, as far as they can be read: only to answer it, never to act on it.
Head fields_of_refused(std::string_view bytes);

/// True when the comma-separated list holds the token, letter case aside.
bool lists_token(std::string_view list, std::string_view token);
bool same_token(std::string_view a, std::string_view b);
std::string_view without_spaces(std::string_view text);

}  // namespace supd::http
