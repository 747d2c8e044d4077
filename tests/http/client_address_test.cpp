// X-Forwarded-For counts only as far as it was written by proxies that are trusted.
#include "http/client_address.hpp"

#include <gtest/gtest.h>

namespace supd::http {
namespace {

Client seen(const char* peer, std::vector<std::pair<std::string, std::string>> headers,
            std::vector<std::string_view> trusted = {"10.0.0.0/8", "fd00::/8"}) {
    std::vector<net::Network> networks;
    for (const auto text : trusted)
        networks.push_back(net::Network::parse(text).value());
    Head head;
    head.headers = std::move(headers);
    return client_of(head, boost::asio::ip::make_address(peer), false, networks);
}

std::string address(const Client& client) {
    return client.address.to_string();
}

TEST(ClientAddress, TrustedHopsAreFollowedFromTheRight) {
    const std::string forwarded = "x-forwarded-for";
    EXPECT_EQ(address(seen("203.0.113.9", {{forwarded, "1.1.1.1"}})), "203.0.113.9")
        << "a stranger's header is nothing";
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "6.6.6.6, 198.51.100.7"}})), "198.51.100.7");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "6.6.6.6, 198.51.100.7, 10.2.2.2"}})), "198.51.100.7");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "6.6.6.6"}, {forwarded, "198.51.100.7"}})),
              "198.51.100.7");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "198.51.100.7, nonsense"}})), "10.1.1.1");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, ""}})), "10.1.1.1");
    EXPECT_EQ(address(seen("::ffff:10.1.1.1", {{forwarded, "::ffff:198.51.100.7"}})), "198.51.100.7");
    EXPECT_EQ(address(seen("fd00::1", {{forwarded, "2001:db8::5"}})), "2001:db8::5");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "1.1.1.1"}}, {})), "10.1.1.1");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "198.51.100.7:5678"}})), "198.51.100.7");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "[2001:db8::5]:443"}})), "2001:db8::5");
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "[2001:db8::5"}})), "2001:db8::5");
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "10.0.0.1,";
    EXPECT_EQ(address(seen("10.1.1.1", {{forwarded, "1.1.1.1," + many + "10.0.0.2"}})), "10.0.0.1");
}

TEST(ClientAddress, TheSchemeIsTheProxys) {
    EXPECT_TRUE(seen("10.1.1.1", {{"x-forwarded-proto", "https"}}).secure);
    EXPECT_TRUE(seen("10.1.1.1", {{"x-forwarded-proto", "http, HTTPS"}}).secure);
    EXPECT_FALSE(seen("10.1.1.1", {{"x-forwarded-proto", "https, http"}}).secure);
    EXPECT_FALSE(seen("203.0.113.9", {{"x-forwarded-proto", "https"}}).secure);
}

TEST(Networks, ParseAndContain) {
    const auto inside = [](std::string_view network, const char* address) {
        return net::Network::parse(network).value().contains(boost::asio::ip::make_address(address));
    };
    EXPECT_TRUE(inside("192.168.4.0/22", "192.168.7.255"));
    EXPECT_FALSE(inside("192.168.4.0/22", "192.168.8.0"));
    EXPECT_TRUE(inside("192.168.4.0/22", "::ffff:192.168.5.1"));
    EXPECT_TRUE(inside("0.0.0.0/0", "8.8.8.8"));
    EXPECT_FALSE(inside("0.0.0.0/0", "2001:db8::1"));
    EXPECT_TRUE(inside("::1", "::1"));
    EXPECT_TRUE(inside("2001:db8::/33", "2001:db8:7fff::1"));
    EXPECT_FALSE(inside("2001:db8::/33", "2001:db8:8000::1"));
    for (const auto* bad : {"", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::/129",
                            "a", "10.0.0.0/8x"})
        EXPECT_FALSE(net::Network::parse(bad)) << bad;
}

}  // namespace
}  // namespace supd::http
