#include <supd/chatlog/cursor.hpp>

#include <array>
#include <cstring>

namespace supd::chatlog {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kShort = 1 + 16 + 8, kLong = kShort + 8 + 16 + 8;
constexpr char kVersion = 1;

void put64(std::string& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8)
        out += static_cast<char>((value >> shift) & 0xFF);
}

std::uint64_t get64(std::string_view in) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i)
        value = value << 8 | static_cast<unsigned char>(in[i]);
    return value;
}

std::string to_text(std::string_view bytes) {
    std::string out;
    unsigned buffer = 0;
    int bits = 0;
    for (const char c : bytes) {
        buffer = buffer << 8 | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6; bits -= 6)
            out += kAlphabet[(buffer >> (bits - 6)) & 63];
    }
    if (bits > 0) out += kAlphabet[(buffer << (6 - bits)) & 63];
    return out;
}

std::optional<std::string> from_text(std::string_view text) {
    std::string out;
    unsigned buffer = 0;
    int bits = 0;
    for (const char c : text) {
        const char* at = c ? std::strchr(kAlphabet, c) : nullptr;
        if (!at) return std::nullopt;
        buffer = buffer << 6 | static_cast<unsigned>(at - kAlphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>((buffer >> bits) & 0xFF);
        }
    }
    if (bits >= 6 || (buffer & ((1U << bits) - 1)) != 0) return std::nullopt;  // more than the bytes need
    return out;
}

}  // namespace

std::string Cursor::encode() const {
    std::string bytes(1, kVersion);
    bytes.append(reinterpret_cast<const char*>(epoch.data()), epoch.size());
    put64(bytes, w);
    if (page) {
        put64(bytes, page->upto_w);
        bytes.append(reinterpret_cast<const char*>(page->chat.bytes.data()), 16);
        put64(bytes, static_cast<std::uint64_t>(page->after));
    }
    return to_text(bytes);
}

std::optional<Cursor> Cursor::decode(std::string_view text) {
    if (text.size() > 2 * kLong) return std::nullopt;
    const auto bytes = from_text(text);
    if (!bytes || (bytes->size() != kShort && bytes->size() != kLong) || (*bytes)[0] != kVersion)
        return std::nullopt;
    const std::string_view in = *bytes;
    Cursor out;
    std::memcpy(out.epoch.data(), in.data() + 1, 16);
    out.w = get64(in.substr(17));
    if (in.size() == kLong) {
        Page page;
        page.upto_w = get64(in.substr(kShort));
        std::memcpy(page.chat.bytes.data(), in.data() + kShort + 8, 16);
        page.after = static_cast<std::int64_t>(get64(in.substr(kShort + 24)));
        out.page = page;
    }
    return out;
}

}  // namespace supd::chatlog
