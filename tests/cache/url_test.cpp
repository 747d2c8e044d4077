#include <supd/cache/url.hpp>

#include <gtest/gtest.h>

#include <stdexcept>

namespace supd::cache {
namespace {

TEST(Url, of_one_server) {
    const auto plain = parse_url("redis://localhost");
    EXPECT_EQ(plain.layout, Layout::single);
    EXPECT_FALSE(plain.tls);
    EXPECT_EQ(plain.endpoints, (std::vector<Endpoint>{{"localhost", 6379}}));
    EXPECT_TRUE(plain.password.empty());
    EXPECT_EQ(plain.database, 0);

    const auto full = parse_url("rediss://supd:p%40ss%3aword@[fd00::7]:7000/3");
    EXPECT_TRUE(full.tls);
    EXPECT_EQ(full.user, "supd");
    EXPECT_EQ(full.password.reveal(), "p@ss:word");
    EXPECT_EQ(full.endpoints, (std::vector<Endpoint>{{"fd00::7", 7000}}));
    EXPECT_EQ(full.database, 3);
}

TEST(Url, a_password_needs_no_user_and_may_hold_an_at) {
    const auto url = parse_url("redis://:a@b@host:1/");
    EXPECT_EQ(url.user, "");
    EXPECT_EQ(url.password.reveal(), "a@b");
    EXPECT_EQ(url.endpoints.front().host, "host");
}

TEST(Url, of_sentinels) {
    const auto url = parse_url("redis+sentinel://u:p@one,two:1234,[::1]/main/2?sentinel_password=s%26t");
    EXPECT_EQ(url.layout, Layout::sentinel);
    EXPECT_EQ(url.endpoints, (std::vector<Endpoint>{{"one", 26379}, {"two", 1234}, {"::1", 26379}}));
    EXPECT_EQ(url.master, "main");
    EXPECT_EQ(url.database, 2);
    EXPECT_EQ(url.sentinel_password.reveal(), "s&t");
}

TEST(Url, of_a_cluster) {
    const auto url = parse_url("rediss+cluster://:p@one,two:7001");
    EXPECT_EQ(url.layout, Layout::cluster);
    EXPECT_TRUE(url.tls);
    EXPECT_EQ(url.endpoints, (std::vector<Endpoint>{{"one", 6379}, {"two", 7001}}));
}

TEST(Url, what_is_wrong_is_refused_without_quoting_it) {
    for (const auto* text : {"",
                             "redis",
                             "http://x",
                             "redis:/x",
                             "redis://",
                             "redis://user@host",
                             "redis://:@host",
                             "redis://host:0",
                             "redis://host:65536",
                             "redis://host:",
                             "redis://host:1x",
                             "redis://[::1",
                             "redis://[::1]x",
                             "redis://[::1]:",
                             "redis://host/16",
                             "redis://host/-1",
                             "redis://host/x",
                             "redis://a,b",
                             "redis://:secret%4@host",
                             "redis://:secret%zz@host",
                             "redis+other://host",
                             "redis+sentinel://host",
                             "redis+sentinel://host/",
                             "redis+sentinel://a,/m",
                             "redis+sentinel://,a/m",
                             "redis+cluster://host/1",
                             "redis://host?x=1",
                             "redis+sentinel://host/m?password=secret",
                             "redis+sentinel://host/m/99"}) {
        try {
            parse_url(text);
            FAIL() << text << " was taken";
        } catch (const std::invalid_argument& fault) {
            EXPECT_EQ(std::string(fault.what()).find("secret"), std::string::npos) << fault.what();
        }
    }
    std::string many = "redis+cluster://h";
    for (int i = 0; i < 32; ++i)
        many += ",h";
    EXPECT_THROW(parse_url(many), std::invalid_argument);
}

}  // namespace
}  // namespace supd::cache
