#include "accounts/profile_rules.hpp"

#include <supd/base/error.hpp>

#include <gtest/gtest.h>

using namespace supd;
using namespace supd::accounts;

TEST(Email, EverydayAddresses) {
    EXPECT_EQ(parse_email("Ann.B+tag@Example.org").key, "ann.b+tag@example.org");
    EXPECT_EQ(parse_email("Ann.B+tag@Example.org").display, "Ann.B+tag@Example.org");
    EXPECT_NO_THROW(parse_email("\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a"));
    for (const auto* text : {"", "@", "ann", "ann@", "@example.org", "ann@example", "ann@@example.org",
                             "a b@example.org", "ann@exa mple.org", "ann@-example.org", "ann@example..org",
                             ".ann@example.org", "a..b@example.org", "ann@example.org\n", "<ann@example.org>",
                             "ann@[127.0.0.1]", "\"ann\"@example.org", "ann@exam_ple.org"})
        EXPECT_THROW(parse_email(text), base::Error) << text;
    EXPECT_THROW(parse_email(std::string(65, 'a') + "@example.org"), base::Error);
    EXPECT_THROW(parse_email("a@" + std::string(64, 'b') + ".org"), base::Error);
}

TEST(Phone, BecomesE164) {
    EXPECT_EQ(parse_phone("+49 (30) 123-45.67"), "+49301234567");
    for (const auto* text :
         {"", "+", "030 1234567", "+0123456789", "+49x30", "+123456", "+1234567890123456", "++49301234567"})
        EXPECT_THROW(parse_phone(text), base::Error) << text;
}

TEST(Name, IsTrimmedAndShown) {
    EXPECT_EQ(clean_name("display_name", "  Zoe\u0308 \U0001F98A ", 64), "Zo\u00eb \U0001F98A");
    EXPECT_EQ(clean_name("display_name", "\U0001F468\u200D\U0001F469\u200D\U0001F467", 64),
              "\U0001F468\u200D\U0001F469\u200D\U0001F467");
    for (const auto* text : {"", "   ", "a\u202eb", "a\u2066b", "a\nb", "a\x7f", "\ue000", "a\u2028b"})
        EXPECT_THROW(clean_name("display_name", text, 64), base::Error) << text;
    EXPECT_NO_THROW(clean_name("display_name", std::string(64, 'x'), 64));
    EXPECT_THROW(clean_name("display_name", std::string(65, 'x'), 64), base::Error);
    EXPECT_EQ(clean_bio("one\ntwo "), "one\ntwo");
    EXPECT_EQ(clean_bio(""), "");
}

TEST(CutText, CutsBetweenCharacters) {
    EXPECT_EQ(cut_text("abc", 3), "abc");
    EXPECT_EQ(cut_text("ab\u00e9", 3), "ab");
    EXPECT_EQ(cut_text("ab\xff", 9), "");
}
