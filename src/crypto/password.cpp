#include <supd/base/json_text.hpp>
#include <supd/crypto/bytes.hpp>
#include <supd/crypto/password.hpp>

#include <sodium.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>

namespace supd::crypto {
namespace {

struct Cost {
    unsigned long long passes;
    std::size_t bytes;
};

constexpr std::size_t kKiB = 1024;

constexpr Cost cost_of(PasswordProfile profile) {
    switch (profile) {
        case PasswordProfile::minimal:
            return {1, 8 * kKiB};
        case PasswordProfile::interactive:
            return {2, 19 * kKiB * kKiB};
        case PasswordProfile::moderate:
            break;
    }
    return {3, 64 * kKiB * kKiB};
}

void start_sodium() {
    static const int started = sodium_init();
    if (started < 0) throw std::runtime_error("libsodium does not start");
}

// PHC strings use standard base64 without padding.
std::string phc_base64(std::string_view bytes) {
    auto out = base64url(bytes);
    std::replace(out.begin(), out.end(), '-', '+');
    std::replace(out.begin(), out.end(), '_', '/');
    return out;
}

}  // namespace

PasswordProfile password_profile(std::string_view name) noexcept {
    if (name == "minimal") return PasswordProfile::minimal;
    if (name == "interactive") return PasswordProfile::interactive;
    return PasswordProfile::moderate;
}

PasswordFault check_password(std::string_view password) noexcept {
    if (password.size() > kMaxPasswordBytes) return PasswordFault::too_long;
    if (!base::is_utf8(password) || password.find('\0') != std::string_view::npos)
        return PasswordFault::not_text;
    const auto characters =
        static_cast<std::size_t>(std::count_if(password.begin(), password.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        }));
    if (characters < kMinPasswordCharacters) return PasswordFault::too_short;
    return characters > kMaxPasswordCharacters ? PasswordFault::too_long : PasswordFault::none;
}

std::string hash_password(std::string_view password, PasswordProfile profile) {
    start_sodium();
    const auto cost = cost_of(profile);
    std::array<char, crypto_pwhash_STRBYTES> out{};
    if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(), cost.passes, cost.bytes,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        throw std::bad_alloc();
    return out.data();
}

bool verify_password(std::string_view password, const std::string& hash) {
    start_sodium();
    return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

bool needs_rehash(const std::string& hash, PasswordProfile profile) {
    const auto cost = cost_of(profile);
    return crypto_pwhash_str_needs_rehash(hash.c_str(), cost.passes, cost.bytes) != 0;
}

std::string dummy_hash(PasswordProfile profile) {
    const auto cost = cost_of(profile);
    Digest random;
    random_bytes(random);
    const auto bytes = view_of(random);
    return "$argon2id$v=19$m=" + std::to_string(cost.bytes / kKiB) + ",t=" + std::to_string(cost.passes) +
           ",p=1$" + phc_base64(bytes.substr(0, 16)) + "$" + phc_base64(bytes);
}

}  // namespace supd::crypto
