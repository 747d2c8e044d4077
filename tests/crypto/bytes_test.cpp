#include <supd/crypto/bytes.hpp>

#include <gtest/gtest.h>

#include <set>

using namespace supd::crypto;

namespace {

std::string hex(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += two;
    }
    return out;
}

}  // namespace

TEST(Digests, FollowTheStandards) {
    EXPECT_EQ(hex(view_of(sha256("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231 test case 2
    EXPECT_EQ(hex(view_of(hmac_sha256("Jefe", "what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Base64Url, FollowsRfc4648) {
    EXPECT_EQ(base64url(std::string_view("")), "");
    EXPECT_EQ(base64url(std::string_view("f")), "Zg");
    EXPECT_EQ(base64url(std::string_view("fo")), "Zm8");
    EXPECT_EQ(base64url(std::string_view("foobar")), "Zm9vYmFy");
    EXPECT_EQ(base64url(std::string_view("\xfb\xff")), "-_8");
    EXPECT_EQ(from_base64url("Zm9vYmFy"), "foobar");
    EXPECT_EQ(from_base64url(""), "");
}

TEST(Base64Url, HasOneSpellingOnly) {
    for (const auto* text : {"Zg==", "Zm9v YmFy", "Zm9v\n", "Z", "Zh", "Zm9", "-/8", "+_8", "Zm9vYmF%"})
        EXPECT_FALSE(from_base64url(text)) << text;
    EXPECT_TRUE(from_base64url("Zm8"));
}

TEST(Tokens, AreLongAndDiffer) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const auto token = random_token();
        EXPECT_EQ(token.size(), kTokenText);
        EXPECT_TRUE(seen.insert(token).second);
    }
}

TEST(ConstantTimeEqual, Compares) {
    EXPECT_TRUE(constant_time_equal("abc", "abc"));
    EXPECT_TRUE(constant_time_equal("", ""));
    EXPECT_FALSE(constant_time_equal("abc", "abd"));
    EXPECT_FALSE(constant_time_equal("abc", "ab"));
}
