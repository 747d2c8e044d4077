#include "trace_export.hpp"

#include "app.hpp"

#include <supd/base/ids.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace supd::app {
namespace {

constexpr std::string_view kPath = "/v1/traces";

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

bool is_name(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_' || c == '.';
    });
}

// Nullopt also for what would end the header's line.
std::optional<std::string> value_of(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            unsigned code = 0;
            const auto digits = text.substr(i + 1, 2);
            const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
            if (digits.size() != 2 || parsed.ptr != digits.data() + 2) return std::nullopt;
            c = static_cast<char>(code);
            i += 2;
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return std::nullopt;
        out += c;
    }
    return out;
}

// ExportTraceServiceResponse.partialSuccess.rejectedSpans; a 64-bit integer is text in this form of JSON.
std::size_t rejected_of(const std::string& body) {
    const auto answer = nlohmann::json::parse(body, nullptr, false);
    const auto at = nlohmann::json::json_pointer("/partialSuccess/rejectedSpans");
    if (!answer.is_object() || !answer.contains(at)) return 0;
    const auto& count = answer.at(at);
    if (count.is_number_unsigned()) return count.get<std::size_t>();
    std::size_t out = 0;
    if (const auto* text = count.get_ptr<const std::string*>())
        std::from_chars(text->data(), text->data() + text->size(), out);
    return out;
}

}  // namespace

std::optional<http::Url> otlp_url(std::string_view endpoint) {
    auto out = http::Url::parse(endpoint);
    const auto forbidden = [](unsigned char c) { return c <= 0x20 || c == 0x7F || c == '?' || c == '#'; };
    if (!out || std::ranges::any_of(endpoint, forbidden)) return std::nullopt;
    out->path += kPath;
    return out;
}

std::optional<OtlpHeaders> otlp_headers(std::string_view text) {
    OtlpHeaders out;
    while (!text.empty()) {
        const auto end = std::min(text.find(','), text.size());
        const auto pair = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (pair.empty()) continue;
        const auto equals = std::min(pair.find('='), pair.size());
        const auto name = trimmed(pair.substr(0, equals));
        auto value = value_of(trimmed(pair.substr(std::min(equals + 1, pair.size()))));
        if (equals == pair.size() || !is_name(name) || !value) return std::nullopt;
        out.emplace_back(name, std::move(*value));
    }
    return out;
}

trace::Post post_to(http::Url url, OtlpHeaders headers) {
    http::FetchRequest request;
    request.method = "POST";
    request.url = std::move(url);
    request.headers = std::move(headers);
    request.headers.emplace_back("Content-Type", "application/json");
    return
        [request = std::move(request)](const std::string& body, std::chrono::milliseconds timeout) mutable {
            request.body = body;
            request.timeout = timeout;
            const auto got = http::fetch(request);
            trace::Answer out;
            out.status = got.status;
            if (got.status / 100 == 2) out.rejected = rejected_of(got.body);
            const auto after = got.header("retry-after");  // a date is left to our own pauses
            int seconds = 0;
            const auto parsed = std::from_chars(after.data(), after.data() + after.size(), seconds);
            if (!after.empty() && parsed.ec == std::errc{} && parsed.ptr == after.data() + after.size() &&
                seconds >= 0)
                out.retry_after = std::chrono::seconds(seconds);
            return out;
        };
}

trace::Options trace_options(const Config& config) {
    trace::Options out;
    out.resource = {"supd", std::string(version()), base::Id<void>::make().text()};
    out.ratio = config.trace.sample_ratio;
    out.post = post_to(otlp_url(config.trace.otlp_endpoint).value(),
                       otlp_headers(config.trace.otlp_headers.reveal()).value());
    return out;
}

}  // namespace supd::app
