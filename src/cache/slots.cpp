#include "slots.hpp"

#include <algorithm>
#include <charconv>

namespace supd::cache {
namespace {

// CRC-16/XMODEM: polynomial 0x1021, initial value 0.
constexpr std::array<std::uint16_t, 256> make_table() {
    std::array<std::uint16_t, 256> out{};
    for (unsigned i = 0; i < 256; ++i) {
        unsigned crc = i << 8;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
        out[i] = static_cast<std::uint16_t>(crc);
    }
    return out;
}
constexpr auto kTable = make_table();

bool in_range(std::int64_t slot) {
    return slot >= 0 && slot < static_cast<std::int64_t>(kSlots);
}

}  // namespace

std::uint16_t slot_of(std::string_view key) noexcept {
    if (const auto open = key.find('{'); open != std::string_view::npos) {
        const auto close = key.find('}', open + 1);
        if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
    }
    std::uint16_t crc = 0;
    for (const unsigned char c : key)
        crc = static_cast<std::uint16_t>((crc << 8) ^ kTable[((crc >> 8) ^ c) & 0xFF]);
    return crc % kSlots;
}

std::uint16_t SlotMap::index_of(const Endpoint& endpoint) {
    auto at = std::ranges::find(masters_, endpoint);
    if (at == masters_.end()) at = masters_.insert(masters_.end(), endpoint);
    return static_cast<std::uint16_t>(at - masters_.begin() + 1);
}

bool SlotMap::read(const Reply& reply, const Endpoint& asked) {
    if (reply.kind != Reply::Kind::array || reply.items.empty()) return false;
    SlotMap fresh;
    for (const auto& range : reply.items) {
        if (range.items.size() < 3 || range.items[2].items.size() < 2) return false;
        const auto from = range.items[0].integer, to = range.items[1].integer;
        const auto& master = range.items[2].items;
        if (!in_range(from) || !in_range(to) || master[1].integer < 1 || master[1].integer > 65'535)
            return false;
        Endpoint endpoint;
        endpoint.host = master[0].text.empty() ? asked.host : master[0].text;
        endpoint.port = static_cast<std::uint16_t>(master[1].integer);
        const auto index = fresh.index_of(endpoint);
        for (auto slot = from; slot <= to; ++slot)
            fresh.owners_[static_cast<std::size_t>(slot)] = index;
    }
    *this = std::move(fresh);
    return true;
}

std::optional<Endpoint> SlotMap::owner(std::uint16_t slot) const {
    const auto index = owners_[slot % kSlots];
    if (index == 0) return std::nullopt;
    return masters_[index - 1U];
}

void SlotMap::move(std::uint16_t slot, const Endpoint& to) {
    owners_[slot % kSlots] = index_of(to);
}

std::optional<Redirect> redirect_of(const Reply& reply, const Endpoint& asked) {
    if (reply.kind != Reply::Kind::error) return std::nullopt;
    std::string_view text = reply.text;
    Redirect out;
    out.ask = text.starts_with("ASK ");
    if (!out.ask && !text.starts_with("MOVED ")) return std::nullopt;
    text.remove_prefix(text.find(' ') + 1);
    const auto space = text.find(' ');
    const auto colon = text.rfind(':');  // an IPv6 address stands without brackets
    if (space == std::string_view::npos || colon == std::string_view::npos || colon < space)
        return std::nullopt;
    unsigned port = 0;
    const auto number = [](std::string_view part, auto& value) {
        return std::from_chars(part.data(), part.data() + part.size(), value).ec == std::errc();
    };
    if (!number(text.substr(0, space), out.slot) || out.slot >= kSlots) return std::nullopt;
    if (!number(text.substr(colon + 1), port) || port == 0 || port > 65'535) return std::nullopt;
    const auto host = text.substr(space + 1, colon - space - 1);
    out.to.host = host.empty() ? asked.host : std::string(host);
    out.to.port = static_cast<std::uint16_t>(port);
    return out;
}

}  // namespace supd::cache
