#include <supd/base/json.hpp>
#include <supd/base/json_text.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace supd::base {
namespace {

std::string code_of(const std::string& text) {
    try {
        parse_json(text);
    } catch (const Error& e) {
        return e.code();
    }
    return "";
}

TEST(ParseJson, TakesOrdinaryJson) {
    auto json = parse_json(R"({"a":[1,2.5,"x",null,true],"b":{"c":"é😀"}})");
    EXPECT_EQ(json["b"]["c"], "é😀");
}

TEST(ParseJson, RefusesWhatWouldHurtLater) {
    EXPECT_EQ(code_of("{\"a\":1,\"a\":2}"), "malformed_json");
    EXPECT_EQ(code_of(R"({"a":"\u0000"})"), "malformed_json");
    EXPECT_EQ(code_of(R"({"a":"\ud800"})"), "malformed_json");
    EXPECT_EQ(code_of("\xEF\xBB\xBF{}"), "malformed_json");
    EXPECT_EQ(code_of("\xff"), "malformed_json");
    EXPECT_EQ(code_of("{\"a\":1e400}"), "malformed_json");
    EXPECT_EQ(code_of("{} {}"), "malformed_json");
    EXPECT_EQ(code_of(""), "malformed_json");
    EXPECT_EQ(code_of(std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']')),
              "malformed_json");
    EXPECT_EQ(code_of(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')), "");
    EXPECT_EQ(code_of(std::string(100'000, '[')), "malformed_json");
    std::string many = "[0";
    for (std::size_t i = 0; i < kMaxJsonValues; ++i)
        many += ",0";
    EXPECT_EQ(code_of(many + "]"), "malformed_json");
}

TEST(ObjectReader, CollectsEveryFault) {
    auto json = parse_json(R"({"name":5,"age":200,"id":"x","more":1})");
    ObjectReader in(json);
    in.text("name", {1, 10});
    in.integer("age", 0, 150);
    in.id<UserId>("id");
    in.text("missing", {1, 10});
    try {
        in.finish();
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.status(), 400);
        EXPECT_EQ(e.code(), "invalid_request");
        ASSERT_EQ(e.fields().size(), 5u);
        EXPECT_EQ(e.fields()[4].code, "unknown_field");
        EXPECT_EQ(e.fields()[4].field, "more");
    }
}

TEST(ObjectReader, UnknownFieldAloneHasItsOwnCode) {
    auto json = parse_json(R"({"name":"x","role":"admin"})");
    ObjectReader in(json);
    EXPECT_EQ(in.text("name", {1, 10}), "x");
    try {
        in.finish();
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "unknown_field");
    }
}

TEST(JsonText, EscapesAndChecksUtf8) {
    std::string out;
    append_json_string(out, "a\"b\\c\n\x01é");
    EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\u0001é\"");
    EXPECT_TRUE(is_utf8("aé😀"));
    for (const char* bad :
         {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80"})
        EXPECT_FALSE(is_utf8(bad));
}

TEST(ObjectReader, repeats_unknown_names_cut_between_characters_and_not_all_of_them) {
    Json object = Json::object();
    object[std::string(kMaxFaultName - 1, 'a') + "\u00e9\u00e9"] = 1;
    for (std::size_t i = 0; i < 2 * kMaxFaults; ++i)
        object["unknown" + std::to_string(i)] = 1;
    ObjectReader reader(object);
    try {
        reader.finish();
        FAIL() << "unknown fields were let in";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), "unknown_field");
        EXPECT_EQ(error.fields().size(), kMaxFaults);
        EXPECT_EQ(error.fields().front().field, std::string(kMaxFaultName - 1, 'a'));
    }
}

TEST(CutUtf8, ends_between_characters) {
    EXPECT_EQ(cut_utf8("abc", 3), "abc");
    EXPECT_EQ(cut_utf8("a\u00e9", 2), "a");
    EXPECT_EQ(cut_utf8("a\u00e9", 3), "a\u00e9");
    EXPECT_EQ(cut_utf8("\U0001F600", 3), "");
    EXPECT_EQ(cut_utf8("", 0), "");
}

}  // namespace
}  // namespace supd::base
