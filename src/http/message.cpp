#include "head.hpp"

#include <supd/base/json.hpp>
#include <supd/base/json_text.hpp>
#include <supd/http/query.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace supd::http {
namespace {

const std::string* find(const std::vector<std::pair<std::string, std::string>>& all, std::string_view name) {
    for (const auto& [key, value] : all)
        if (key == name) return &value;
    return nullptr;
}

// application/json, with no parameter but charset=utf-8.
bool is_json(std::string_view content_type) {
    const auto semicolon = content_type.find(';');
    if (!same_token(without_spaces(content_type.substr(0, semicolon)), "application/json")) return false;
    if (semicolon == std::string_view::npos) return true;
    const auto parameter = without_spaces(content_type.substr(semicolon + 1));
    return parameter.empty() || same_token(parameter, "charset=utf-8") ||
           same_token(parameter, "charset=\"utf-8\"");
}

}  // namespace

base::Error query_error(std::string_view name, std::string code, std::string detail) {
    std::vector<base::FieldError> fields;
    fields.push_back({"query." + std::string(name), code, std::move(detail)});
    return {400, code == "unknown_field" ? code : "invalid_request", "The query is not as documented.",
            std::move(fields)};
}

base::Error cursor_error(std::string detail) {
    std::vector<base::FieldError> fields;
    fields.push_back({"query.cursor", "bad_format", detail});
    return {400, "invalid_cursor", std::move(detail), std::move(fields)};
}

const Caller& Request::caller() const {
    if (!caller_) throw base::unauthenticated();
    return *caller_;
}

std::optional<std::string_view> Request::header(std::string_view lower_case_name) const {
    const auto* value = find(headers, lower_case_name);
    return value ? std::optional<std::string_view>(*value) : std::nullopt;
}

std::string_view Request::path_value(std::string_view name) const {
    const auto* value = find(path_values, name);
    if (!value) throw base::not_found();
    return *value;
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
    const auto* value = find(query, name);
    return value ? std::optional<std::string_view>(*value) : std::nullopt;
}

std::int64_t Request::query_integer(std::string_view name, std::int64_t fallback, std::int64_t min,
                                    std::int64_t max) const {
    const auto text = query_value(name);
    if (!text) return fallback;
    std::int64_t value = 0;
    const auto parsed = std::from_chars(text->data(), text->data() + text->size(), value);
    if (parsed.ec == std::errc::invalid_argument || parsed.ptr != text->data() + text->size())
        throw query_error(name, "wrong_type", "An integer is expected.");
    if (parsed.ec != std::errc{} || value < min || value > max)
        throw query_error(name, "out_of_range",
                          "Must be from " + std::to_string(min) + " to " + std::to_string(max) + ".");
    return value;
}

void Request::allow_query(std::initializer_list<std::string_view> names) const {
    for (std::size_t i = 0; i < query.size(); ++i) {
        const auto& name = query[i].first;
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw query_error(base::cut_utf8(name, base::kMaxFaultName), "unknown_field",
                              "There is no such parameter.");
        for (std::size_t j = 0; j < i; ++j)
            if (query[j].first == name) throw query_error(name, "duplicate", "Given more than once.");
    }
}

nlohmann::json Request::json() const {
    allow_query({});
    if (body.empty()) return nlohmann::json::object();
    const auto type = header("content-type");
    if (!type || !is_json(*type))
        throw base::Error(415, "unsupported_media_type", "Send the body as application/json.");
    return base::parse_json(body);
}

Reply Reply::json(std::string text, int status) {
    Reply out;
    out.status = status;
    out.body = std::move(text);
    return out;
}

Reply Reply::json(const nlohmann::json& value, int status) {
    return json(value.dump(), status);
}

Reply Reply::no_content() {
    Reply out;
    out.status = 204;
    out.content_type.clear();
    return out;
}

}  // namespace supd::http
