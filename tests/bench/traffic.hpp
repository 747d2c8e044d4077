// Deterministic message bodies and ids: both ends of a benchmark live in one process, so what must
// arrive can be recomputed (text) or looked up (id) and compared byte by byte, without a JSON parser.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bench {

inline constexpr std::size_t kIdLength = 36;
inline constexpr std::size_t kTextHead = 14;  // "ssss-nnnnnnnn " in hexadecimal

inline std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

void put_hex(char* out, std::uint64_t value, int digits);
// Returns false when a character is no lower-case hexadecimal digit.
bool get_hex(const char* in, int digits, std::uint64_t& value);

// A random (version 4) or time-ordered (version 7) UUID; exactly kIdLength characters go to `out`.
void put_id(char* out, int version, std::uint64_t sender, std::uint64_t n);

class Texts {
public:
    // length: bytes of every text, at least kTextHead.
    explicit Texts(std::size_t length);
    std::size_t length() const { return length_; }
    void put(char* out, std::uint64_t sender, std::uint64_t n) const;
    // True when `text` (of length() bytes) is some (sender, n)'s text in every byte.
    bool check(const char* text, std::uint64_t& sender, std::uint64_t& n) const;

private:
    const char* tail(std::uint64_t sender, std::uint64_t n) const;
    std::size_t length_;
    std::string pool_;
};

// Finds `needle` in frames of nearly constant shape: first where it was last time, else by search.
class Finder {
public:
    explicit Finder(std::string_view needle) : needle_(needle) {}
    // The position after the needle, or nullptr.
    const char* after(const char* data, std::size_t size) {
        const std::size_t n = needle_.size();
        for (const std::size_t hint : hints_)
            if (hint + n <= size && std::memcmp(data + hint, needle_.data(), n) == 0) return data + hint + n;
        const void* hit = memmem(data, size, needle_.data(), n);
        if (hit == nullptr) return nullptr;
        const auto* at = static_cast<const char*>(hit);
        hints_[next_++ & 1U] = static_cast<std::size_t>(at - data);
        return at + n;
    }

private:
    std::string_view needle_;
    std::array<std::size_t, 2> hints_{};
    unsigned next_ = 0;
};

// Reads decimal digits at `at`; returns false if there is none before `end`.
bool get_number(const char* at, const char* end, std::uint64_t& value);

}  // namespace bench
