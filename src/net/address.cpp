#include <supd/net/address.hpp>

#include <algorithm>
#include <charconv>
#include <string>

namespace supd::net {
namespace {

AddressKey mapped_bytes(const asio::ip::address& address) {
    if (address.is_v6()) return address.to_v6().to_bytes();
    AddressKey out{};
    out[10] = out[11] = 0xFF;
    const auto v4 = address.to_v4().to_bytes();
    std::copy(v4.begin(), v4.end(), out.begin() + 12);
    return out;
}

}  // namespace

asio::ip::address unmapped(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    return address;
}

AddressKey limit_key(const asio::ip::address& address) {
    auto key = mapped_bytes(unmapped(address));
    if (unmapped(address).is_v6()) std::fill(key.begin() + 8, key.end(), std::uint8_t{0});
    return key;
}

Network::Network(const asio::ip::address& base, unsigned bits) : base_(mapped_bytes(base)), bits_(bits) {}

std::optional<Network> Network::parse(std::string_view text) {
    const auto slash = text.find('/');
    boost::system::error_code error;
    const auto address = asio::ip::make_address(std::string(text.substr(0, slash)), error);
    if (error || (address.is_v6() && address.to_v6().scope_id() != 0)) return std::nullopt;
    const unsigned width = address.is_v4() ? 32 : 128;
    unsigned bits = width;
    if (slash != std::string_view::npos) {
        const auto digits = text.substr(slash + 1);
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || bits > width)
            return std::nullopt;
    }
    Network out(address, bits + (128 - width));
    for (unsigned bit = out.bits_; bit < 128; ++bit)
        if (out.base_[bit / 8] & (0x80u >> (bit % 8))) return std::nullopt;
    return out;
}

bool Network::contains(const asio::ip::address& address) const {
    const auto bytes = mapped_bytes(address);
    const auto whole = bits_ / 8;
    if (!std::equal(base_.begin(), base_.begin() + whole, bytes.begin())) return false;
    if (bits_ % 8 == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xFFu << (8 - bits_ % 8));
    return (bytes[whole] & mask) == (base_[whole] & mask);
}

bool any_contains(const std::vector<Network>& networks, const asio::ip::address& address) {
    return std::any_of(networks.begin(), networks.end(), [&](const auto& n) { return n.contains(address); });
}

}  // namespace supd::net
