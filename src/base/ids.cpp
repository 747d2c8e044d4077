#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/base/random.hpp>

namespace supd::base {
namespace {

constexpr char kHex[] = "0123456789abcdef";

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_dash_position(std::size_t i) noexcept {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

}  // namespace

std::optional<Uuid> parse_uuid(std::string_view text) noexcept {
    if (text.size() != kUuidText) return std::nullopt;
    Uuid id;
    std::size_t at = 0;
    for (std::size_t i = 0; i < kUuidText;) {
        if (is_dash_position(i)) {
            if (text[i] != '-') return std::nullopt;
            ++i;
            continue;
        }
        const int high = hex_value(text[i]);
        const int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        id[at++] = static_cast<std::uint8_t>(high << 4 | low);
        i += 2;
    }
    return id;
}

void format_uuid(const Uuid& id, char* out) noexcept {
    for (std::size_t i = 0; i < id.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = kHex[id[i] >> 4];
        *out++ = kHex[id[i] & 15];
    }
}

Uuid make_uuid_v7() {
    Uuid id;
    const auto ms = static_cast<std::uint64_t>(wall_clock_ms());
    for (int i = 0; i < 6; ++i)
        id[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
    random_bytes(id.data() + 6, 10);
    id[6] = static_cast<std::uint8_t>((id[6] & 0x0F) | 0x70);
    id[8] = static_cast<std::uint8_t>((id[8] & 0x3F) | 0x80);
    return id;
}

}  // namespace supd::base
