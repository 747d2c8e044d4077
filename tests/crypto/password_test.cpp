#include <supd/crypto/password.hpp>

#include <gtest/gtest.h>

using namespace supd::crypto;

TEST(Password, LengthIsCountedInCharactersAndCappedInBytes) {
    EXPECT_EQ(check_password("1234567"), PasswordFault::too_short);
    EXPECT_EQ(check_password("12345678"), PasswordFault::none);
    EXPECT_EQ(check_password(std::string(128, 'x')), PasswordFault::none);
    EXPECT_EQ(check_password(std::string(129, 'x')), PasswordFault::too_long);
    std::string foxes;
    for (int i = 0; i < 128; ++i)
        foxes += "\U0001F98A";
    EXPECT_EQ(check_password(foxes), PasswordFault::none);
    EXPECT_EQ(check_password(std::string(8'000'000, 'x')), PasswordFault::too_long);
    EXPECT_EQ(check_password("caf\xC3 caf\xC3 caf"), PasswordFault::not_text);
    EXPECT_EQ(check_password(std::string("12345678\0", 9)), PasswordFault::not_text);
}

TEST(Password, HashesVerifyAndSayWhenTheyAreOutdated) {
    const auto hash = hash_password("correct horse", PasswordProfile::minimal);
    EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$")) << hash;
    EXPECT_TRUE(verify_password("correct horse", hash));
    EXPECT_FALSE(verify_password("correct hors", hash));
    EXPECT_FALSE(needs_rehash(hash, PasswordProfile::minimal));
    EXPECT_TRUE(needs_rehash(hash, PasswordProfile::moderate));
    EXPECT_NE(hash, hash_password("correct horse", PasswordProfile::minimal));
    for (const auto* nonsense : {"", "x", "$argon2id$", "$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA"})
        EXPECT_FALSE(verify_password("correct horse", nonsense)) << nonsense;
}

TEST(Password, ModerateIsWhatRfc9106Recommends) {
    const auto hash = hash_password("correct horse", PasswordProfile::moderate);
    EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=1$")) << hash;
    EXPECT_TRUE(hash_password("correct horse", PasswordProfile::interactive)
                    .starts_with("$argon2id$v=19$m=19456,t=2,"));
}

TEST(Password, TheDummyCostsWhatARealOneCosts) {
    for (const auto profile :
         {PasswordProfile::minimal, PasswordProfile::interactive, PasswordProfile::moderate}) {
        const auto dummy = dummy_hash(profile);
        EXPECT_EQ(dummy.substr(0, dummy.find('$', 15)),
                  hash_password("x", profile).substr(0, dummy.find('$', 15)));
        // Well-formed, so that verifying it runs Argon2id instead of failing to parse.
        EXPECT_FALSE(needs_rehash(dummy, profile));
        EXPECT_EQ(dummy.size(), hash_password("x", profile).size());
        EXPECT_FALSE(verify_password("correct horse", dummy));
    }
}
