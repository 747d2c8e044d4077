// Request targets in origin-form (RFC 9112 3.2.1): percent-decoding of paths and queries.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::http {

/// nullopt: a malformed escape, a control character, or text that is not UTF-8.
std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space);

inline std::string_view raw_path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
}

struct Target {
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;
};

/// nullopt: malformed, or more than kMaxQueryValues values.
std::optional<Target> parse_target(std::string_view target);

}  // namespace supd::http
