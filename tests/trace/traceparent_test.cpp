#include <supd/trace/context.hpp>

#include <gtest/gtest.h>

#include <string>

namespace supd::trace {
namespace {

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kSpan = "b7ad6b7169203331";

std::string with(const std::string& version, const std::string& rest) {
    return version + "-" + kTrace + "-" + kSpan + "-" + rest;
}

TEST(Traceparent, IsReadAndWritten) {
    const auto parsed = parse_traceparent(with("00", "01"));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(text_of(parsed->trace), kTrace);
    EXPECT_EQ(text_of(parsed->span), kSpan);
    EXPECT_TRUE(parsed->sampled);
    EXPECT_FALSE(parsed->recorded()) << "what came from outside has no tracer here";
    EXPECT_EQ(format_traceparent(*parsed), with("00", "01"));
    EXPECT_EQ(format_traceparent(parse_traceparent(with("00", "00")).value()), with("00", "00"));
}

TEST(Traceparent, OnlyTheSampledFlagIsKnown) {
    EXPECT_TRUE(parse_traceparent(with("00", "03"))->sampled);
    EXPECT_TRUE(parse_traceparent(with("00", "ff"))->sampled);
    EXPECT_FALSE(parse_traceparent(with("00", "fe"))->sampled);
    EXPECT_EQ(format_traceparent(parse_traceparent(with("00", "ff")).value()), with("00", "01"));
}

TEST(Traceparent, OfALaterVersionTheKnownPartIsRead) {
    for (const auto& text :
         {with("01", "01"), with("cc", "01-what-the-future-will-be-like"), with("fe", "01-")}) {
        const auto parsed = parse_traceparent(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(text_of(parsed->trace), kTrace);
        EXPECT_TRUE(parsed->sampled);
    }
}

TEST(Traceparent, MalformedOnesAreNone) {
    std::string upper = with("00", "01"), letter = upper, nul = upper;
    upper[3] = 'A';
    letter[10] = 'g';
    nul[10] = '\0';
    const std::string malformed[] = {
        "",
        "00",
        "-",
        std::string(55, '-'),
        std::string(55, '0'),
        std::string(100'000, 'a'),
        upper,
        letter,
        nul,
        with("ff", "01"),
        with("FF", "01"),
        with("0g", "01"),
        with("0", "01"),
        with("000", "01"),
        with("00", "1"),
        with("00", "0g"),
        with("00", "0A"),
        with("00", "01-"),
        with("00", "01-more"),
        with("00", "01 "),
        " " + with("00", "01"),
        with("01", "01more"),
        with("01", "01."),
        with("00", "01") + "," + with("00", "01"),
        "00-" + std::string(32, '0') + "-" + kSpan + "-01",
        "00-" + kTrace + "-" + std::string(16, '0') + "-01",
        "00_" + kTrace + "-" + kSpan + "-01",
        "00-" + kTrace + "_" + kSpan + "-01",
        "00-" + kTrace + "-" + kSpan + "_01",
        "00-" + kTrace.substr(1) + "--" + kSpan + "-01",
        "00-\xc3\xa9" + kTrace.substr(2) + "-" + kSpan + "-01",
    };
    for (const auto& text : malformed)
        EXPECT_FALSE(parse_traceparent(text)) << text.substr(0, 100);
}

// Every cut and every changed byte: read as something else or refused, never past the end.
TEST(Traceparent, HoldsAgainstWhateverComes) {
    const auto good = with("01", "01-x");
    for (std::size_t size = 0; size <= good.size(); ++size)
        EXPECT_EQ(parse_traceparent(good.substr(0, size)).has_value(), size == 55 || size > 55) << size;
    for (std::size_t at = 0; at < 55; ++at)
        for (int byte = 0; byte < 256; ++byte) {
            auto text = good;
            text[at] = static_cast<char>(byte);
            if (const auto parsed = parse_traceparent(text))
                EXPECT_EQ(format_traceparent(*parsed).substr(2, 50), text.substr(2, 50));
        }
}

TEST(Traceparent, OfARequestThereIsExactlyOne) {
    using Headers = std::vector<std::pair<std::string, std::string>>;
    const Headers one{{"host", "x"}, {"traceparent", with("00", "01")}};
    Headers two = one;
    two.emplace_back("traceparent", with("00", "01"));
    EXPECT_TRUE(parent_of(one));
    EXPECT_FALSE(parent_of(two));
    EXPECT_FALSE(parent_of({}));
    EXPECT_FALSE(parent_of({{"traceparent", "00-x"}}));
}

}  // namespace
}  // namespace supd::trace
