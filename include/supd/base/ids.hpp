// Strong 128-bit identifiers (RFC 9562 UUIDs): swapping a UserId and a ChatId does not compile.
// Value types, no allocation, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace supd::base {

using Uuid = std::array<std::uint8_t, 16>;

inline constexpr std::size_t kUuidText = 36;

/// Parses the canonical 8-4-4-4-12 form, either letter case; nothing else is accepted.
std::optional<Uuid> parse_uuid(std::string_view text) noexcept;
/// Writes exactly kUuidText lower-case characters, no terminator.
void format_uuid(const Uuid& id, char* out) noexcept;
/// A new version 7 UUID: milliseconds of the wall clock, then random bits of getrandom(2).
Uuid make_uuid_v7();

template <class Tag>
struct Id {
    Uuid bytes{};

    auto operator<=>(const Id&) const = default;
    bool is_nil() const noexcept { return bytes == Uuid{}; }

    std::string text() const {
        std::string out(kUuidText, '\0');
        format_uuid(bytes, out.data());
        return out;
    }
    void append_to(std::string& out) const {
        const auto at = out.size();
        out.resize(at + kUuidText);
        format_uuid(bytes, out.data() + at);
    }
    static std::optional<Id> parse(std::string_view text) noexcept {
        auto bytes = parse_uuid(text);
        if (!bytes) return std::nullopt;
        Id id;
        id.bytes = *bytes;
        return id;
    }
    static Id make() {
        Id id;
        id.bytes = make_uuid_v7();
        return id;
    }
};

using UserId = Id<struct UserTag>;
using DeviceId = Id<struct DeviceTag>;
using SessionId = Id<struct SessionTag>;
using ChatId = Id<struct ChatTag>;
using MessageId = Id<struct MessageTag>;
/// The id of one change in a chat's log that is not a message (edit, reaction, membership ...).
using ChangeId = Id<struct ChangeTag>;

}  // namespace supd::base

template <class Tag>
struct std::hash<supd::base::Id<Tag>> {
    std::size_t operator()(const supd::base::Id<Tag>& id) const noexcept {
        // The tail of a v7 UUID is random; ids made by clients may be any version, so mix both halves.
        std::uint64_t a, b;
        std::memcpy(&a, id.bytes.data(), 8);
        std::memcpy(&b, id.bytes.data() + 8, 8);
        a ^= b * 0x9E3779B97F4A7C15ULL;
        return a ^ (a >> 29);
    }
};
