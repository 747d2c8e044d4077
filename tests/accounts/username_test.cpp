#include "accounts/username.hpp"

#include <supd/base/error.hpp>

#include <gtest/gtest.h>

using namespace supd;
using accounts::parse_username;

namespace {

std::string refusal(std::string_view name) {
    try {
        parse_username(name);
        return "";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.status(), 422);
        return error.fields().at(0).code;
    }
}

bool same_look(std::string_view a, std::string_view b) {
    return parse_username(a).skeleton == parse_username(b).skeleton;
}

}  // namespace

TEST(Username, KeepsItsLookAndFoldsItsKey) {
    const auto name = parse_username("Ann_B.99");
    EXPECT_EQ(name.display, "Ann_B.99");
    EXPECT_EQ(name.key, "ann_b.99");
    EXPECT_EQ(parse_username("\uFF21\uFF4E\uFF4E\uFF41").display, "Anna") << "full width is the same letter";
    EXPECT_EQ(parse_username("Stra\u00dfe").key, "strasse");
    EXPECT_EQ(parse_username("Zoe\u0308").key, parse_username("zo\u00eb").key) << "combined or not";
    EXPECT_EQ(accounts::fold_identifier("Ann@Example.ORG"), "ann@example.org");
}

TEST(Username, ManyScriptsAreWelcome) {
    for (const auto* name :
         {"ann", "42nd", "Zo\u00eb", "\u0438\u0432\u0430\u043d", "\u5f20\u4f1f\u4e3d",
          "\u03b1\u03bd\u03bd\u03b1", "\u0e2a\u0e21\u0e0a\u0e32\u0e22", "\u05d3\u05d5\u05d3",
          "\u3055\u304f\u3089", "\u0930\u093e\u092e\u0940", "tanaka\u7530\u4e2d"})
        EXPECT_EQ(refusal(name), "") << name;
}

TEST(Username, LengthIsInCharacters) {
    EXPECT_EQ(refusal(""), "too_short");
    EXPECT_EQ(refusal("ab"), "too_short");
    EXPECT_EQ(refusal(std::string(32, 'x')), "");
    EXPECT_EQ(refusal(std::string(33, 'x')), "too_long");
    EXPECT_EQ(refusal(std::string(100'000, 'x')), "too_long");
    EXPECT_EQ(refusal("\uFDFA\uFDFA"), "too_long") << "one ligature becomes eighteen characters";
}

TEST(Username, OtherCharactersAreRefused) {
    for (const auto* name : {" ann",
                             "ann ",
                             "ann b",
                             "ann\tb",
                             "ann\nb",
                             "ann\u00a0b",
                             "ann@home",
                             "ann/..",
                             "../etc",
                             "<ann>",
                             "ann\u202eb",
                             "ann\u200bb",
                             "ann\u200db",
                             "ann\u00adb",
                             "ann\ufeff",
                             "_ann",
                             "-ann",
                             ".ann",
                             "ann\U0001F98A",
                             "ann:b",
                             "ann#1",
                             "a\u0301\u0301nn\u2014",
                             "\u0301ann",
                             "ann\ue000",
                             "\u2163abc\u00b9!",
                             "\u3164\u3164\u3164",  // Hangul fillers: letters that nobody sees
                             "al\u1160ice",
                             "a\uffa0\uffa0",
                             "ann\u034f",
                             "ann\ufe0f"})
        EXPECT_EQ(refusal(name), "bad_characters") << name;
}

TEST(Username, MixedScriptsAreRefused) {
    EXPECT_EQ(refusal("p\u0430ypal"), "mixed_scripts") << "Cyrillic a";
    EXPECT_EQ(refusal("\u03b1nna"), "mixed_scripts") << "Greek alpha";
    EXPECT_EQ(refusal("ann\u0661\u06f2"), "mixed_scripts") << "digits of two systems";
}

TEST(Username, NamesThatLookAlikeAreOne) {
    EXPECT_TRUE(same_look("paypal", "PayPal"));
    EXPECT_TRUE(same_look("paypal", "paypa1"));
    EXPECT_TRUE(same_look("google", "g00gle"));
    EXPECT_TRUE(same_look("modern", "modem"));
    EXPECT_TRUE(same_look("scope", "\u0455\u0441\u043e\u0440\u0435")) << "all Cyrillic";
    EXPECT_FALSE(same_look("ann", "anne"));
    EXPECT_FALSE(same_look("user12", "user13"));
}

TEST(Username, SomeNamesAreReserved) {
    for (const auto* name : {"admin", "Admin", "ADMIN", "root", "system", "support", "supd", "adm1n"}) {
        const auto code = refusal(name);
        if (std::string_view(name) == "adm1n") {
            EXPECT_EQ(code, "") << "1 looks like l, not like i";
        } else {
            EXPECT_EQ(code, "reserved") << name;
        }
    }
    EXPECT_EQ(refusal("r00t"), "reserved");
    EXPECT_NE(refusal("\u0430\u0501min"), "");
}
