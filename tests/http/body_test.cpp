// The body must end at the same byte with the same content, whatever packets it came in.
#include "http/body.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>

namespace supd::http {
namespace {

constexpr std::string_view kChunkedHead = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

// Feeds `bytes` as they would gather in a connection's buffer, `step` new ones at a time.
std::string read_in_steps(std::string_view bytes, std::size_t step) {
    const auto head = std::get<Head>(parse_head(kChunkedHead));
    BodyReader reader(kChunkedHead, head, 1000);
    std::size_t from = 0;
    for (std::size_t have = 0; have < bytes.size();) {
        have = std::min(bytes.size(), have + step);
        std::size_t used = 0;
        const auto state = reader.feed(bytes.substr(from, have - from), used);
        from += used;
        if (state == BodyReader::State::refused) return "refused";
        if (state == BodyReader::State::done) return have == bytes.size() ? reader.take() : "early";
    }
    return "more";
}

TEST(Body, ChunkedInPacketsOfAnySize) {
    for (std::size_t step = 1; step <= 40; ++step) {
        EXPECT_EQ(read_in_steps("3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n", step), "abcde") << step;
        EXPECT_EQ(read_in_steps("1\r\na\r\n0\r\n\r\n", step), "a") << step;
    }
}

// Beast 1.81 by itself asserts here when the first chunk is the last and its five bytes come apart.
TEST(Body, EmptyChunkedInPacketsOfAnySize) {
    for (std::size_t step = 1; step <= 6; ++step) {
        EXPECT_EQ(read_in_steps("0\r\n\r\n", step), "") << step;
        EXPECT_EQ(read_in_steps("0;x\r\n\r\n", step), "") << step;
        EXPECT_EQ(read_in_steps("000\r\nX-T: 1\r\n\r\n", step), "") << step;
        EXPECT_EQ(read_in_steps("x\r\n\r\n\r\n", step), "refused") << step;
    }
    const auto head = std::get<Head>(parse_head(kChunkedHead));
    BodyReader reader(kChunkedHead, head, 1000);
    std::size_t used = 0;
    for (const std::string_view have : {"0\r\n", "0\r\n", "0\r\n\r"})
        EXPECT_EQ(reader.feed(have, used), BodyReader::State::more) << used;
    EXPECT_EQ(reader.feed("0\r\n\r\n", used), BodyReader::State::done);
    EXPECT_EQ(used, 5U);
}

}  // namespace
}  // namespace supd::http
