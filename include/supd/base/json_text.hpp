// Writing JSON text (RFC 8259) without building a document first: the hot path's serialiser.
#pragma once

#include <string>
#include <string_view>

namespace supd::base {

/// Appends `text` as a JSON string with quotes. `text` must be valid UTF-8; it is copied as it is, only
/// what JSON demands is escaped.
void append_json_string(std::string& out, std::string_view text);

/// True when `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text) noexcept;

/// The longest prefix of `text` (UTF-8) that has at most `max_bytes` and ends between two characters.
std::string_view cut_utf8(std::string_view text, std::size_t max_bytes) noexcept;

}  // namespace supd::base
