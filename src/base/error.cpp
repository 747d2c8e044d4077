#include <supd/base/error.hpp>
#include <supd/base/json_text.hpp>

#include <utility>

namespace supd::base {

Error::Error(int status, std::string code, std::string detail)
    : status_(status), code_(std::move(code)), detail_(std::move(detail)) {}

Error::Error(int status, std::string code, std::string detail, std::vector<FieldError> fields)
    : status_(status), code_(std::move(code)), detail_(std::move(detail)), fields_(std::move(fields)) {}

Error&& Error::with_header(std::string name, std::string value) && {
    headers_.emplace_back(std::move(name), std::move(value));
    return std::move(*this);
}

Error bad_request(std::string code, std::string detail) {
    return {400, std::move(code), std::move(detail)};
}
Error unauthenticated(std::string code, std::string detail) {
    return Error(401, std::move(code), std::move(detail)).with_header("WWW-Authenticate", "Bearer");
}
Error forbidden(std::string detail, std::string code) {
    return {403, std::move(code), std::move(detail)};
}
Error not_found() {
    return {404, "not_found", "There is nothing here that you may see."};
}
Error conflict(std::string code, std::string detail) {
    return {409, std::move(code), std::move(detail)};
}
Error invalid(std::string field, std::string code, std::string detail) {
    std::vector<FieldError> fields;
    fields.push_back({std::move(field), code, detail});
    return {422, "invalid", std::move(detail), std::move(fields)};
}
Error unavailable(std::string code, std::string detail, int retry_after_s) {
    return Error(503, std::move(code), std::move(detail))
        .with_header("Retry-After", std::to_string(retry_after_s));
}

std::string_view status_title(int status) noexcept {
    switch (status) {
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 422:
            return "Unprocessable Content";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Error";
    }
}

std::string problem_json(const Error& error, std::string_view request_id) {
    std::string out = R"({"type":"about:blank","title":)";
    append_json_string(out, status_title(error.status()));
    out += ",\"status\":";
    out += std::to_string(error.status());
    out += ",\"detail\":";
    append_json_string(out, error.detail());
    out += ",\"code\":";
    append_json_string(out, error.code());
    if (!error.fields().empty()) {
        out += ",\"errors\":[";
        bool first = true;
        for (const auto& field : error.fields()) {
            if (!std::exchange(first, false)) out += ',';
            out += "{\"field\":";
            append_json_string(out, field.field);
            out += ",\"code\":";
            append_json_string(out, field.code);
            out += ",\"detail\":";
            append_json_string(out, field.detail);
            out += '}';
        }
        out += ']';
    }
    if (!request_id.empty()) {
        out += ",\"request_id\":";
        append_json_string(out, request_id);
    }
    out += '}';
    return out;
}

}  // namespace supd::base
