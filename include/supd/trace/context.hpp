// Which trace a piece of work belongs to, and how it is said between processes: the header traceparent of W3C
// Trace Context level 1 (section 3.2). Plain values; every function on any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::trace {

class Tracer;

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

struct Context {
    TraceId trace{};
    SpanId span{};
    bool sampled = false;
    /// Who records what is done under it; null for a context from outside and for none at all.
    Tracer* tracer = nullptr;

    bool recorded() const noexcept { return tracer != nullptr && sampled; }
};

/// Nullopt for what is malformed: then a new trace begins. Ids of zeros are, as is upper case. Of a version
/// above 00 what 00 knows is read, and more may follow behind another dash.
std::optional<Context> parse_traceparent(std::string_view text) noexcept;
/// That of a request, when exactly one of its headers is a traceparent and it is well-formed. Names in lower
/// case.
std::optional<Context> parent_of(const std::vector<std::pair<std::string, std::string>>& headers) noexcept;
/// "00-<32 digits>-<16 digits>-<01|00>".
std::string format_traceparent(const Context& context);
/// Lower-case hexadecimal digits: of logs and of OTLP.
std::string text_of(const TraceId& id);
std::string text_of(const SpanId& id);

}  // namespace supd::trace
