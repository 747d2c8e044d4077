#include <supd/base/json.hpp>
#include <supd/messages/limits.hpp>

#include <gtest/gtest.h>
#include <messages/draft.hpp>
#include <nlohmann/json.hpp>

namespace supd::messages {
namespace {

const std::string kHead =
    R"({"id":"018f0000-0000-7000-8000-000000000001","chat_id":"018f0000-0000-7000-8000-000000000002","type":"text")";

chatlog::Draft read(const std::string& rest) {
    return read_draft(base::parse_json(kHead + rest + "}"), http::Caller{});
}

std::pair<int, std::string> refusal(const std::string& json) {
    try {
        read_draft(base::parse_json(json), http::Caller{});
        return {0, "ok"};
    } catch (const base::Error& error) {
        return {error.status(), error.code()};
    }
}

TEST(DraftTest, keeps_what_was_sent) {
    const auto draft = read(
        R"(,"text":"hi","metadata":{"b":1,"a":[1e-300]},"mentions":["018F0000-0000-7000-8000-00000000000A"],)"
        R"("attachments":[{"url":"x"}],"expires_in_s":60,"reply_to":null)");
    EXPECT_EQ(draft.text, "hi");
    EXPECT_EQ(draft.expires_in_s, 60);
    EXPECT_FALSE(draft.reply_to.has_value());
    EXPECT_EQ(draft.extra,
              R"({"attachments":[{"url":"x"}],"mentions":["018f0000-0000-7000-8000-00000000000a"],)"
              R"("metadata":{"a":[1e-300],"b":1}})");
    EXPECT_TRUE(read(R"(,"text":"hi","metadata":{},"mentions":[],"attachments":[])").extra.empty());
}

TEST(DraftTest, the_digest_tells_contents_apart_and_nothing_else) {
    const auto plain = read(R"(,"text":"hi")").digest;
    EXPECT_EQ(read(R"(,"text":"hi","metadata":{},"reply_to":null)").digest, plain);
    EXPECT_EQ(read(R"(,"text":"hi","metadata":{"a":1,"b":2})").digest,
              read(R"(,"metadata":{"b":2,"a":1},"text":"hi")").digest);
    for (const auto* other :
         {R"(,"text":"ho")", R"(,"text":"hi","metadata":{"a":1})", R"(,"text":"hi","expires_in_s":60)",
          R"(,"text":"hi","reply_to":"018f0000-0000-7000-8000-000000000003")"})
        EXPECT_NE(read(other).digest, plain) << other;
}

TEST(DraftTest, refuses_with_the_right_word) {
    const std::pair<int, std::string> faulty{400, "invalid_request"}, unknown{400, "unknown_field"},
        unfit{422, "invalid"};
    EXPECT_EQ(refusal("{}"), faulty);
    EXPECT_EQ(refusal("[]"), faulty);
    EXPECT_EQ(refusal(kHead + R"(,"text":"a","seq":1})"), unknown);
    EXPECT_EQ(refusal(kHead + R"(,"text":5,"seq":1})"), faulty);
    EXPECT_EQ(refusal(kHead + R"(,"text":"a","payloads":[]})"), unfit);
    EXPECT_EQ(
        refusal(
            R"({"id":"018f0000-0000-7000-8000-000000000001","chat_id":"018f0000-0000-7000-8000-000000000002",)"
            R"("type":"system","text":"a"})"),
        unfit);
    for (const auto* rest :
         {R"(,"text":"")", R"(,"text":null)", R"(,"text":"a","expires_in_s":1)",
          R"(,"text":"a","expires_in_s":1.5)", R"(,"text":"a","expires_in_s":18446744073709551615)",
          R"(,"text":"a","metadata":[])", R"(,"text":"a","mentions":["x"])",
          R"(,"text":"a","attachments":["x"])", R"(,"text":"a","reply_to":7)"})
        EXPECT_EQ(refusal(kHead + rest + "}"), faulty) << rest;
}

TEST(DraftTest, limits_hold_to_the_byte) {
    const auto text = [](std::size_t size) {
        return kHead + R"(,"text":")" + std::string(size, 'a') + "\"}";
    };
    EXPECT_EQ(refusal(text(kMaxTextBytes)).second, "ok");
    EXPECT_EQ(refusal(text(kMaxTextBytes + 1)).second, "invalid_request");
    const auto metadata = [](std::size_t size) {  // {"k":"..."} takes 8 bytes beside the content
        return kHead + R"(,"text":"a","metadata":{"k":")" + std::string(size - 8, 'a') + "\"}}";
    };
    EXPECT_EQ(refusal(metadata(kMaxMetadataBytes)).second, "ok");
    EXPECT_EQ(refusal(metadata(kMaxMetadataBytes + 1)).second, "invalid_request");
    const auto list = [](std::string_view name, std::string_view one, std::size_t count) {
        std::string out = kHead + R"(,"text":"a",")" + std::string(name) + "\":[";
        for (std::size_t i = 0; i < count; ++i)
            out += (i ? "," : "") + std::string(one);
        return out + "]}";
    };
    constexpr std::string_view kOne = R"("018f0000-0000-7000-8000-00000000000a")";
    EXPECT_EQ(refusal(list("mentions", kOne, kMaxMentions)).second, "ok");
    EXPECT_EQ(refusal(list("mentions", kOne, kMaxMentions + 1)).second, "invalid_request");
    EXPECT_EQ(refusal(list("attachments", "{}", kMaxAttachments)).second, "ok");
    EXPECT_EQ(refusal(list("attachments", "{}", kMaxAttachments + 1)).second, "invalid_request");
}

}  // namespace
}  // namespace supd::messages
