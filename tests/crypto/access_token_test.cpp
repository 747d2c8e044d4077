// The JWT attack list: whatever is not exactly what sign() writes is refused.
#include <supd/crypto/access_token.hpp>
#include <supd/crypto/bytes.hpp>
#include <supd/crypto/refresh_token.hpp>

#include <gtest/gtest.h>

using namespace supd;
using namespace supd::crypto;

namespace {

const base::Secret kSecret{"a secret of at least thirty-two bytes"};
const base::Secret kOlder{"an older secret of thirty-two bytes.."};
constexpr base::Millis kNow = 1'800'000'000'000;
constexpr std::chrono::seconds kLifetime{900};

struct Parts {
    std::string header, claims, signature;
};

Parts take_apart(const std::string& token) {
    const auto first = token.find('.');
    const auto second = token.find('.', first + 1);
    return {from_base64url(token.substr(0, first)).value(),
            from_base64url(token.substr(first + 1, second - first - 1)).value(), token.substr(second + 1)};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

class AccessTokenTest : public ::testing::Test {
protected:
    AccessTokens tokens_{{kSecret}, "supd", kLifetime};
    base::UserId user_ = base::UserId::make();
    base::SessionId session_ = base::SessionId::make();
    base::DeviceId device_ = base::DeviceId::make();
    std::string token_ = tokens_.sign(user_, session_, device_, kNow);
    Parts parts_ = take_apart(token_);

    TokenFault fault(const std::string& token, base::Millis now = kNow) const {
        AccessClaims claims;
        return tokens_.verify(token, now, claims);
    }
    /// Signed with the very key of the server: only the content can be what is refused.
    std::string forged(const std::string& header, const std::string& claims,
                       const base::Secret& secret = kSecret) const {
        const auto signing = hmac_sha256(secret.reveal(), "supd access token HS256 v1");
        const auto body = base64url(header) + "." + base64url(claims);
        return body + "." + base64url(hmac_sha256(view_of(signing), body));
    }
};

}  // namespace

TEST_F(AccessTokenTest, ComesBack) {
    AccessClaims claims;
    ASSERT_EQ(tokens_.verify(token_, kNow + 1000, claims), TokenFault::none);
    EXPECT_EQ(claims.user, user_);
    EXPECT_EQ(claims.session, session_);
    EXPECT_EQ(claims.device, device_);
    EXPECT_EQ(claims.expires_at_s - claims.issued_at_s, kLifetime.count());
    EXPECT_EQ(fault(forged(parts_.header, parts_.claims)), TokenFault::none)
        << "the forger of this test works";
}

TEST_F(AccessTokenTest, EndsWithItsTime) {
    const auto end = kNow + kLifetime.count() * 1000;
    EXPECT_EQ(fault(token_, end + 4000), TokenFault::none);
    EXPECT_EQ(fault(token_, end + 5000), TokenFault::expired);
    EXPECT_EQ(fault(token_, kNow - 5000), TokenFault::none);
    EXPECT_EQ(fault(token_, kNow - 6000), TokenFault::invalid) << "issued in the future";
}

TEST_F(AccessTokenTest, OtherHeadersAreRefused) {
    const auto& h = parts_.header;
    for (const auto& header :
         {replaced(h, "HS256", "none"), replaced(h, "HS256", "None"), replaced(h, "HS256", "NONE"),
          replaced(h, "HS256", ""), replaced(h, "HS256", "RS256"), replaced(h, "HS256", "HS512"),
          replaced(h, "JWT", "jwt"), replaced(h, "JWT", "JWE"),
          replaced(h, "\"kid\"", "\"jku\":\"http://127.0.0.1/k\",\"kid\""),
          replaced(h, "\"kid\"", "\"jwk\":{},\"kid\""),
          replaced(h, "\"kid\"", "\"x5u\":\"http://127.0.0.1/\",\"kid\""),
          replaced(h, "\"kid\"", "\"crit\":[\"x\"],\"kid\""),
          replaced(h, "\"kid\":\"", "\"kid\":\"../../etc/passwd\",\"kid\":\""),
          replaced(h, "\"kid\":\"", "\"kid\":\"' or 1=1 --"),
          replaced(h, "\"kid\":\"", "\"kid\":\"" + std::string(1500, 'k')), replaced(h, ",", ", "),
          std::string("{}"), std::string(), std::string("{\"alg\":\"HS256\"}")})
        EXPECT_EQ(fault(forged(header, parts_.claims)), TokenFault::invalid) << header;
}

TEST_F(AccessTokenTest, UnsignedAndWronglySignedOnesAreRefused) {
    const auto body = token_.substr(0, token_.rfind('.'));
    const auto none =
        base64url(std::string_view(R"({"alg":"none","typ":"JWT"})")) + "." + base64url(parts_.claims) + ".";
    for (const auto& token :
         {none, body, body + ".", body + "." + std::string(43, 'A'), body + "." + parts_.signature + "A",
          forged(parts_.header, parts_.claims, base::Secret("another secret of thirty-two bytes.....")),
          body + "." + base64url(hmac_sha256(kSecret.reveal(), body))})
        EXPECT_EQ(fault(token), TokenFault::invalid) << token;
}

TEST_F(AccessTokenTest, EveryFlippedCharacterIsNoticed) {
    for (std::size_t i = 0; i < token_.size(); ++i) {
        auto changed = token_;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_EQ(fault(changed), TokenFault::invalid) << i;
    }
}

TEST_F(AccessTokenTest, OtherShapesAreRefused) {
    for (const auto& token :
         {std::string(), std::string("."), std::string(".."), std::string("a.b.c"), token_ + ".",
          "." + token_, token_ + ".x", token_ + "=", token_ + " ", " " + token_, token_ + "\n",
          token_ + token_, std::string(100 * 1024, 'a'), std::string(2048, '.'), token_.substr(1)})
        EXPECT_EQ(fault(token), TokenFault::invalid);
}

TEST_F(AccessTokenTest, TrailingBitsMakeNoSecondSpelling) {
    // The last character of 32 bytes carries two unused bits.
    static const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    auto changed = token_;
    changed.back() = alphabet[alphabet.find(changed.back()) ^ 1];
    EXPECT_EQ(fault(changed), TokenFault::invalid);
}

TEST_F(AccessTokenTest, OtherClaimsAreRefusedThoughGenuinelySigned) {
    const auto& c = parts_.claims;
    const auto exp = c.substr(c.find("\"exp\":"));
    const auto exp_value = exp.substr(6, exp.size() - 7);
    for (const auto& claims : {replaced(c, "\"iss\":\"supd\"", "\"iss\":\"evil\""),
                               replaced(c, "\"aud\":\"supd\"", "\"aud\":\"other\""),
                               replaced(c, "\"aud\":\"supd\"", "\"aud\":[\"supd\"]"),
                               replaced(c, "\"iss\":\"supd\",", ""),
                               replaced(c, ",\"exp\":" + exp_value, ""),
                               replaced(c, exp_value + "}", "\"" + exp_value + "\"}"),
                               replaced(c, exp_value + "}", "1e400}"),
                               replaced(c, exp_value + "}", "-1}"),
                               replaced(c, exp_value + "}", "0}"),
                               replaced(c, exp_value + "}", exp_value + ".0}"),
                               replaced(c, exp_value + "}", "0" + exp_value + "}"),
                               replaced(c, exp_value + "}", "99999999999999999999}"),
                               replaced(c, exp_value + "}", "9999999999}"),
                               replaced(c, exp_value + "}", "null}"),
                               c.substr(0, c.size() - 1) + ",\"exp\":9999999999}",
                               "{\"sub\":\"" + base::UserId::make().text() + "\"," + c.substr(1),
                               replaced(c, user_.text(), "me"),
                               replaced(c, user_.text(), "018F4E3A-7C00-7ABC-8DEF-0123456789AB"),
                               replaced(c, "\"sid\":", "\"SID\":"),
                               replaced(c, ",\"did\"", ", \"did\""),
                               c + " ",
                               c + "{}",
                               std::string("{}"),
                               std::string(),
                               std::string("null")})
        EXPECT_EQ(fault(forged(parts_.header, claims)), TokenFault::invalid) << claims;
}

TEST_F(AccessTokenTest, KeysRotate) {
    const AccessTokens before({kOlder}, "supd", kLifetime);
    const auto old_token = before.sign(user_, session_, device_, kNow);
    const AccessTokens both({kSecret, kOlder}, "supd", kLifetime);
    AccessClaims claims;
    EXPECT_EQ(both.verify(old_token, kNow, claims), TokenFault::none);
    EXPECT_EQ(both.verify(token_, kNow, claims), TokenFault::none);
    EXPECT_EQ(both.sign(user_, session_, device_, kNow), token_) << "the current one signs";
    EXPECT_EQ(fault(old_token), TokenFault::invalid);
    // The header of one key over the signature of another.
    const auto parts = take_apart(old_token);
    EXPECT_EQ(both.verify(forged(parts.header, parts.claims, kSecret), kNow, claims), TokenFault::invalid);
}

TEST(AccessTokens, RefuseUnfitConfiguration) {
    EXPECT_THROW(AccessTokens({}, "supd", kLifetime), std::invalid_argument);
    EXPECT_THROW(AccessTokens({base::Secret("short")}, "supd", kLifetime), std::invalid_argument);
    EXPECT_THROW(AccessTokens({kSecret}, "su\"pd", kLifetime), std::invalid_argument);
    EXPECT_THROW(AccessTokens({kSecret}, "", kLifetime), std::invalid_argument);
    EXPECT_THROW(AccessTokens({kSecret}, "supd", std::chrono::seconds(0)), std::invalid_argument);
}

TEST_F(AccessTokenTest, VerificationIsFastEnoughForEveryRequest) {
    constexpr int kRounds = 20'000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i)
        ASSERT_EQ(fault(token_), TokenFault::none);
    const auto each =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kRounds;
    RecordProperty("microseconds_each", std::to_string(each));
    EXPECT_LT(each, 100) << "microseconds";
}

TEST(RefreshTokens, SuccessorIsTheSameEachTimeAndNeedsTheKey) {
    const RefreshTokens tokens({kSecret});
    const auto token = random_token();
    EXPECT_TRUE(RefreshTokens::well_formed(token));
    const auto next = tokens.successor(token);
    EXPECT_TRUE(RefreshTokens::well_formed(next));
    EXPECT_EQ(next, tokens.successor(token));
    EXPECT_NE(next, token);
    EXPECT_NE(next, RefreshTokens({kOlder}).successor(token));
    const auto hash = RefreshTokens::hash(next);
    EXPECT_EQ(RefreshTokens({kOlder, kSecret}).successor_with_hash(token, view_of(hash)), next);
    EXPECT_EQ(RefreshTokens({kOlder}).successor_with_hash(token, view_of(hash)), "");
    for (const auto& unfit :
         {std::string(), std::string("x"), token + "A", token.substr(1), std::string(43, '=')})
        EXPECT_FALSE(RefreshTokens::well_formed(unfit)) << unfit;
}
