// A refusal that the client is told of (RFC 9457 problem details). Thrown by rules, caught in exactly two
// places: the HTTP adapter and the WebSocket dispatcher. Anything else that is thrown is a fault of ours and
// answers 500/503 without detail.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::base {

/// One faulty field of a request: JSON path, stable code, text for people.
struct FieldError {
    std::string field;
    std::string code;
    std::string detail;
};

class Error : public std::exception {
public:
    /// status: HTTP status; code: stable snake_case word for machines; detail: text for people, free of
    /// content and secrets.
    Error(int status, std::string code, std::string detail);
    Error(int status, std::string code, std::string detail, std::vector<FieldError> fields);

    int status() const noexcept { return status_; }
    const std::string& code() const noexcept { return code_; }
    const std::string& detail() const noexcept { return detail_; }
    const std::vector<FieldError>& fields() const noexcept { return fields_; }
    /// Extra response headers (Retry-After, Allow, RateLimit-*).
    const std::vector<std::pair<std::string, std::string>>& headers() const noexcept { return headers_; }
    Error&& with_header(std::string name, std::string value) &&;

    const char* what() const noexcept override { return code_.c_str(); }

private:
    int status_;
    std::string code_;
    std::string detail_;
    std::vector<FieldError> fields_;
    std::vector<std::pair<std::string, std::string>> headers_;
};

Error bad_request(std::string code, std::string detail);
Error unauthenticated(std::string code = "unauthenticated",
                      std::string detail = "A valid access token is required.");
Error forbidden(std::string detail = "You may not do this.", std::string code = "forbidden");
/// Also for what the caller may not know exists: always this same text.
Error not_found();
Error conflict(std::string code, std::string detail);
Error invalid(std::string field, std::string code, std::string detail);  // 422
/// 503 with Retry-After: the database is away, a queue is full, an outcome is unknown.
Error unavailable(std::string code = "unavailable", std::string detail = "Try again shortly.",
                  int retry_after_s = 1);

/// Reason phrase of an HTTP status, the `title` of a problem.
std::string_view status_title(int status) noexcept;

/// The problem+json document; request_id may be empty.
std::string problem_json(const Error& error, std::string_view request_id);

}  // namespace supd::base
