#include <supd/base/hex.hpp>
#include <supd/trace/context.hpp>

#include <algorithm>
#include <span>

namespace supd::trace {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kSize = 55;  // of version 00, and of what a later one begins with
constexpr std::size_t kTraceAt = 3, kSpanAt = 36, kFlagsAt = 53;
constexpr std::uint8_t kForbiddenVersion = 0xff;
constexpr unsigned kSampled = 1;

bool read_hex(std::string_view text, std::span<std::uint8_t> out) noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto high = kDigits.find(text[2 * i]);
        const auto low = kDigits.find(text[2 * i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) return false;
        out[i] = static_cast<std::uint8_t>(high << 4U | low);
    }
    return true;
}

bool is_zero(std::span<const std::uint8_t> id) noexcept {
    return std::ranges::all_of(id, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

std::optional<Context> parse_traceparent(std::string_view text) noexcept {
    if (text.size() < kSize) return std::nullopt;
    std::array<std::uint8_t, 1> version{}, flags{};
    Context out;
    const bool read = read_hex(text, version) && text[kTraceAt - 1] == '-' &&
                      read_hex(text.substr(kTraceAt), out.trace) && text[kSpanAt - 1] == '-' &&
                      read_hex(text.substr(kSpanAt), out.span) && text[kFlagsAt - 1] == '-' &&
                      read_hex(text.substr(kFlagsAt), flags);
    if (!read || version[0] == kForbiddenVersion) return std::nullopt;
    if (text.size() > kSize && (version[0] == 0 || text[kSize] != '-')) return std::nullopt;
    if (is_zero(out.trace) || is_zero(out.span)) return std::nullopt;
    out.sampled = (flags[0] & kSampled) != 0;
    return out;
}

std::optional<Context> parent_of(const std::vector<std::pair<std::string, std::string>>& headers) noexcept {
    const std::string* given = nullptr;
    for (const auto& [name, value] : headers) {
        if (name != "traceparent") continue;
        if (given) return std::nullopt;
        given = &value;
    }
    return given ? parse_traceparent(*given) : std::nullopt;
}

std::string format_traceparent(const Context& context) {
    return "00-" + text_of(context.trace) + "-" + text_of(context.span) + (context.sampled ? "-01" : "-00");
}

std::string text_of(const TraceId& id) {
    return base::hex(std::as_bytes(std::span(id)));
}
std::string text_of(const SpanId& id) {
    return base::hex(std::as_bytes(std::span(id)));
}

}  // namespace supd::trace
