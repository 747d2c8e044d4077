#include "otlp.hpp"

#include <supd/base/json_text.hpp>

#include <algorithm>

namespace supd::trace {
namespace {

constexpr int kStatusError = 2;

void append_attribute(std::string& out, std::string_view key,
                      const std::variant<std::string, std::int64_t>& value) {
    if (out.back() == '}') out += ',';
    out += R"({"key":)";
    base::append_json_string(out, key);
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        out += R"(,"value":{"intValue":")" + std::to_string(*number) + "\"}}";
        return;
    }
    out += R"(,"value":{"stringValue":)";
    base::append_json_string(out, std::get<std::string>(value));
    out += "}}";
}

void append_span(std::string& out, const Record& span) {
    if (out.back() == '}') out += ',';
    out += R"({"traceId":")" + text_of(span.context.trace) + R"(","spanId":")" + text_of(span.context.span);
    if (std::ranges::any_of(span.parent, [](auto byte) { return byte != 0; }))
        out += R"(","parentSpanId":")" + text_of(span.parent);
    out += R"(","name":)";
    base::append_json_string(out, span.name);
    out += R"(,"kind":)" + std::to_string(static_cast<int>(span.kind));
    out += R"(,"startTimeUnixNano":")" + std::to_string(span.start_ns);
    out += R"(","endTimeUnixNano":")" + std::to_string(span.end_ns);
    out += R"(","attributes":[)";
    for (const auto& [key, value] : span.attributes)
        append_attribute(out, key, value);
    out += "]";
    if (span.failed) out += R"(,"status":{"code":)" + std::to_string(kStatusError) + "}";
    out += "}";
}

}  // namespace

std::string otlp_json(const Resource& resource, const std::vector<std::unique_ptr<Record>>& spans) {
    std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
    append_attribute(out, "service.name", resource.service);
    append_attribute(out, "service.version", resource.version);
    append_attribute(out, "service.instance.id", resource.instance);
    out += R"(]},"scopeSpans":[{"scope":{"name":"supd","version":)";
    base::append_json_string(out, resource.version);
    out += R"(},"spans":[)";
    for (const auto& span : spans)
        append_span(out, *span);
    return out + "]}]}]}";
}

}  // namespace supd::trace
