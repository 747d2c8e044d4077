#include <supd/crypto/bytes.hpp>

#include <sodium.h>
#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace supd::crypto {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> reverse_alphabet() {
    std::array<std::int8_t, 256> out{};
    for (auto& value : out)
        value = -1;
    for (std::int8_t i = 0; i < 64; ++i)
        out[static_cast<unsigned char>(kAlphabet[i])] = i;
    return out;
}
constexpr auto kReverse = reverse_alphabet();

const unsigned char* unsigned_of(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

void random_bytes(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const auto got = getrandom(out.data() + done, out.size() - done, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
        done += static_cast<std::size_t>(got);
    }
}

std::string random_token() {
    Digest bytes;
    random_bytes(bytes);
    return base64url(bytes);
}

Digest sha256(std::string_view data) {
    Digest out;
    crypto_hash_sha256(out.data(), unsigned_of(data), data.size());
    return out;
}

Digest hmac_sha256(std::string_view key, std::string_view data) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, unsigned_of(key), key.size());
    crypto_auth_hmacsha256_update(&state, unsigned_of(data), data.size());
    Digest out;
    crypto_auth_hmacsha256_final(&state, out.data());
    return out;
}

std::string_view view_of(const Digest& digest) noexcept {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

bool constant_time_equal(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string base64url(std::span<const std::uint8_t> data) {
    std::string out;
    out.reserve((data.size() * 4 + 2) / 3);
    std::uint32_t bits = 0;
    int have = 0;
    for (const auto byte : data) {
        bits = (bits << 8) | byte;
        for (have += 8; have >= 6; have -= 6)
            out += kAlphabet[(bits >> (have - 6)) & 63];
    }
    if (have > 0) out += kAlphabet[(bits << (6 - have)) & 63];
    return out;
}

std::string base64url(std::string_view data) {
    return base64url(std::span(unsigned_of(data), data.size()));
}

bool from_base64url(std::string_view text, std::span<std::uint8_t> out) noexcept {
    if (text.size() % 4 == 1 || out.size() != text.size() * 3 / 4) return false;
    std::uint32_t bits = 0;
    int have = 0;
    std::size_t at = 0;
    for (const char c : text) {
        const auto value = kReverse[static_cast<unsigned char>(c)];
        if (value < 0) return false;
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[at++] = static_cast<std::uint8_t>(bits >> have);
        }
    }
    // A second spelling of the same bytes would be a second token.
    return (bits & ((1u << have) - 1)) == 0;
}

std::optional<std::string> from_base64url(std::string_view text) {
    std::string out(text.size() * 3 / 4, '\0');
    if (!from_base64url(text, {reinterpret_cast<std::uint8_t*>(out.data()), out.size()})) return std::nullopt;
    return out;
}

}  // namespace supd::crypto
