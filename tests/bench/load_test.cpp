// A benchmark that counts what it should refuse is worse than none: the parts that judge are tested here.
#include "group_load.hpp"
#include "histogram.hpp"
#include "rest.hpp"
#include "traffic.hpp"
#include "ws_load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace bench {
namespace {

TEST(Texts, RefusesEveryDamagedByte) {
    const Texts texts(200);
    std::string text(200, ' ');
    texts.put(text.data(), 77, 123456);
    std::uint64_t sender = 0;
    std::uint64_t n = 0;
    ASSERT_TRUE(texts.check(text.data(), sender, n));
    EXPECT_EQ(sender, 77U);
    EXPECT_EQ(n, 123456U);
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        EXPECT_FALSE(texts.check(damaged.data(), sender, n)) << i;
    }
}

TEST(Texts, NeedNoJsonEscape) {
    const Texts texts(300);
    std::string text(300, ' ');
    for (std::uint64_t n = 0; n < 100; ++n) {
        texts.put(text.data(), n, n * 7);
        EXPECT_EQ(text.find_first_of("\"\\"), std::string::npos);
    }
}

TEST(Ids, CarryVersionAndVariantAndDiffer) {
    std::string a(kIdLength, '\0');
    std::string b(kIdLength, '\0');
    for (const int version : {4, 7}) {
        put_id(a.data(), version, 1, 2);
        put_id(b.data(), version, 1, 3);
        EXPECT_NE(a, b);
        EXPECT_EQ(a[14], static_cast<char>('0' + version));
        EXPECT_THAT(std::string("89ab"), testing::HasSubstr(std::string(1, a[19])));
    }
}

TEST(Finder, FindsMovedKeys) {
    Finder finder("\"seq\":");
    for (const std::string frame :
         {R"({"seq":1})", R"({"a":2,"seq":1})", R"({"seq":1})", R"({"bc":22,"seq":1})"}) {
        const char* at = finder.after(frame.data(), frame.size());
        ASSERT_NE(at, nullptr);
        EXPECT_EQ(*at, '1');
    }
    EXPECT_EQ(finder.after("{}", 2), nullptr);
}

TEST(Masking, IsItsOwnInverse) {
    for (std::size_t size = 0; size < 40; ++size) {
        std::string from(size, 'x');
        std::string masked(size, 0);
        std::string back(size, 0);
        mask_copy(masked.data(), from.data(), size, 0xdeadbeef);
        mask_copy(back.data(), masked.data(), size, 0xdeadbeef);
        EXPECT_EQ(back, from);
        for (std::size_t i = 0; i < size; ++i)  // RFC 6455 section 5.3, octet by octet
            EXPECT_EQ(masked[i], static_cast<char>('x' ^ (0xdeadbeefU >> (8 * (i % 4)) & 0xffU)));
    }
}

TEST(Histogram, QuantilesAreWithinOneBucket) {
    Histogram h;
    for (std::int64_t us = 1; us <= 1000; ++us)
        h.add(us * 1000);
    EXPECT_NEAR(h.quantile_ms(0.5), 0.5, 0.01);
    EXPECT_NEAR(h.quantile_ms(0.99), 0.99, 0.02);
    EXPECT_EQ(h.count(), 1000U);
}

TEST(Responses, AreWholeOrNotYet) {
    const std::string answer = "HTTP/1.1 201 Created\r\nX: y\r\nCONTENT-length: 4\r\n\r\nbody";
    int status = 0;
    std::string_view body;
    for (std::size_t size = 0; size < answer.size(); ++size)
        EXPECT_EQ(parse_response(std::string_view(answer).substr(0, size), status, body), 0U);
    EXPECT_EQ(parse_response(answer + "HTTP", status, body), answer.size());
    EXPECT_EQ(status, 201);
    EXPECT_EQ(body, "body");
}

}  // namespace
}  // namespace bench
