// Random bytes, digests, comparison and text forms of secrets. Any thread; nothing here fails except as
// written.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace supd::crypto {

using Digest = std::array<std::uint8_t, 32>;

/// getrandom(2).
void random_bytes(std::span<std::uint8_t> out);
/// 256 random bits in base64url: 43 characters.
std::string random_token();
inline constexpr std::size_t kTokenText = 43;

Digest sha256(std::string_view data);
Digest hmac_sha256(std::string_view key, std::string_view data);
/// The bytes of a digest, for a bytea parameter.
std::string_view view_of(const Digest& digest) noexcept;

/// Time depends on the lengths only.
bool constant_time_equal(std::string_view a, std::string_view b) noexcept;

/// RFC 4648 section 5 without padding.
std::string base64url(std::span<const std::uint8_t> data);
std::string base64url(std::string_view data);
/// Strict: no padding, no other characters, no bits left over. nullopt for anything else.
std::optional<std::string> from_base64url(std::string_view text);
/// The same into a buffer of exactly the decoded size; false for anything else.
bool from_base64url(std::string_view text, std::span<std::uint8_t> out) noexcept;

}  // namespace supd::crypto
