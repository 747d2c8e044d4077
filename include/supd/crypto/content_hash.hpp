// A short digest that tells contents apart (BLAKE2b, RFC 7693, 128 bits, no key). Not for secrets: whoever
// can guess the content can check the guess. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace supd::crypto {

using ContentHash = std::array<std::uint8_t, 16>;

ContentHash content_hash(std::string_view content) noexcept;

}  // namespace supd::crypto
