// What a span holds until it is told.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/trace/span.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace supd::trace {

struct Record {
    Context context;
    SpanId parent{};  ///< zeros: a root
    Kind kind = Kind::internal;
    std::string name;
    std::int64_t start_ns = 0;  ///< since the Unix epoch
    base::Monotonic::time_point begun;
    std::int64_t end_ns = 0;  ///< start plus what the monotonic clock says
    bool failed = false;
    std::vector<std::pair<std::string_view, std::variant<std::string, std::int64_t>>> attributes;
};

}  // namespace supd::trace
