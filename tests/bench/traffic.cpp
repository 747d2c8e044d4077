#include "traffic.hpp"

#include <chrono>

namespace bench {
namespace {

constexpr std::size_t kPoolSize = 1U << 16;
constexpr char kDigits[] = "0123456789abcdef";

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

void put_hex(char* out, std::uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; --i, value >>= 4U)
        out[i] = kDigits[value & 15U];
}

bool get_hex(const char* in, int digits, std::uint64_t& value) {
    value = 0;
    for (int i = 0; i < digits; ++i) {
        const int d = digit_of(in[i]);
        if (d < 0) return false;
        value = (value << 4U) | static_cast<std::uint64_t>(d);
    }
    return true;
}

void put_id(char* out, int version, std::uint64_t sender, std::uint64_t n) {
    static const auto run =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    const std::uint64_t key = mix(run ^ (sender << 40U) ^ n);
    std::uint64_t high = key;
    const std::uint64_t low = (mix(key ^ run) & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
    if (version == 7) {
        const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch());
        high = (static_cast<std::uint64_t>(now.count()) << 16U) | (high & 0xfffU);
    }
    high = (high & ~0xf000ULL) | (static_cast<std::uint64_t>(version) << 12U);
    put_hex(out, high >> 32U, 8);
    put_hex(out + 9, high >> 16U, 4);
    put_hex(out + 14, high, 4);
    put_hex(out + 19, low >> 48U, 4);
    put_hex(out + 24, low, 12);
    out[8] = out[13] = out[18] = out[23] = '-';
}

Texts::Texts(std::size_t length) : length_(length), pool_(kPoolSize + length, ' ') {
    constexpr std::string_view alphabet = "etaoinshrdlucmfwypvbgkjqxz 0123456789 etaoin shrdlu ,.!?";
    std::uint64_t state = 42;
    for (char& c : pool_) {
        state = mix(state);
        c = alphabet[state % alphabet.size()];
    }
    pool_.back() = '.';
}

const char* Texts::tail(std::uint64_t sender, std::uint64_t n) const {
    return pool_.data() + (mix((sender << 32U) ^ n) & (kPoolSize - 1));
}

void Texts::put(char* out, std::uint64_t sender, std::uint64_t n) const {
    put_hex(out, sender, 4);
    out[4] = '-';
    put_hex(out + 5, n, 8);
    out[13] = ':';
    std::memcpy(out + kTextHead, tail(sender, n), length_ - kTextHead - 1);
    out[length_ - 1] = '.';  // a server that trims blanks must not look like one that loses bytes
}

bool Texts::check(const char* text, std::uint64_t& sender, std::uint64_t& n) const {
    return get_hex(text, 4, sender) && text[4] == '-' && get_hex(text + 5, 8, n) && text[13] == ':' &&
           std::memcmp(text + kTextHead, tail(sender, n), length_ - kTextHead - 1) == 0 &&
           text[length_ - 1] == '.';
}

bool get_number(const char* at, const char* end, std::uint64_t& value) {
    const char* start = at;
    value = 0;
    while (at < end && *at >= '0' && *at <= '9')
        value = value * 10 + static_cast<std::uint64_t>(*at++ - '0');
    return at != start;
}

}  // namespace bench
