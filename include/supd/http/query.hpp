// Reading a request's query: every refusal names the parameter in `errors`.
#pragma once

#include <supd/http/message.hpp>

namespace supd::http {

/// 400 `invalid_request` (or `unknown_field`); codes as of base::ObjectReader.
base::Error query_error(std::string_view name, std::string code, std::string detail);
/// 400 `invalid_cursor`.
base::Error cursor_error(std::string detail = "The cursor is not one of this list.");

/// The parameter as an id; malformed = 400 `invalid_request`.
template <class IdType>
std::optional<IdType> query_id(const Request& request, std::string_view name) {
    const auto text = request.query_value(name);
    if (!text) return std::nullopt;
    auto id = IdType::parse(*text);
    if (!id) throw query_error(name, "bad_format", "A UUID is expected.");
    return id;
}

}  // namespace supd::http
