// Password hashing: Argon2id (RFC 9106) by libsodium, in the PHC string form that names its own parameters.
// Slow and memory-hungry on purpose: run it on the `cpu` pool, never on an io thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace supd::crypto {

/// moderate: t=3, 64 MiB, one lane: RFC 9106's second recommendation as far as libsodium (one lane) allows;
/// the one for production. interactive: t=2, 19 MiB, the least that OWASP accepts. minimal: t=1, 8 KiB: tests
/// only.
enum class PasswordProfile { minimal, interactive, moderate };
/// The profile of that name; moderate for any other.
PasswordProfile password_profile(std::string_view name) noexcept;

inline constexpr std::size_t kMinPasswordCharacters = 8;
inline constexpr std::size_t kMaxPasswordCharacters = 128;
inline constexpr std::size_t kMaxPasswordBytes = 512;

enum class PasswordFault { none, too_short, too_long, not_text };
/// Cheap; ask before hashing, so that a huge password costs nothing.
PasswordFault check_password(std::string_view password) noexcept;

/// Throws std::bad_alloc when there is no memory for it.
std::string hash_password(std::string_view password, PasswordProfile profile);
/// False also for a hash that is not one.
bool verify_password(std::string_view password, const std::string& hash);
/// The hash was made with other parameters than those of `profile`.
bool needs_rehash(const std::string& hash, PasswordProfile profile);
/// A hash that no password matches but that takes as long to verify as a real one.
std::string dummy_hash(PasswordProfile profile);

}  // namespace supd::crypto
