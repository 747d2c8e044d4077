// IP addresses as supd judges them: networks (RFC 4632), and the unit a limit counts - one IPv4 address, or
// one IPv6 /64, since a single host commonly owns a whole /64.
#pragma once

#include <boost/asio/ip/address.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace supd::net {

namespace asio = boost::asio;

/// IPv4-mapped IPv6 (::ffff:a.b.c.d) becomes IPv4; everything else stays.
asio::ip::address unmapped(const asio::ip::address& address);

/// What counts as one client: 16 bytes, the IPv4 address mapped, or the first 64 bits of the IPv6 address.
using AddressKey = std::array<std::uint8_t, 16>;
AddressKey limit_key(const asio::ip::address& address);

class Network {
public:
    /// "10.0.0.0/8", "fd00::/8", or a single address. nullopt for anything else (also host bits set).
    static std::optional<Network> parse(std::string_view text);
    bool contains(const asio::ip::address& address) const;

private:
    Network(const asio::ip::address& base, unsigned bits);
    std::array<std::uint8_t, 16> base_{};
    unsigned bits_ = 0;
};

bool any_contains(const std::vector<Network>& networks, const asio::ip::address& address);

}  // namespace supd::net
