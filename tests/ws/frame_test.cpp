#include <supd/ws/frame.hpp>

#include <gtest/gtest.h>
#include <ws/deflate.hpp>

#include <random>
#include <string>

namespace supd::ws {
namespace {

std::string text_of(std::size_t size) {
    std::string out(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<char>('a' + i % 26);
    return out;
}

TEST(Frame, has_the_shortest_header_and_no_mask) {
    struct Case {
        std::size_t size;
        std::string header;
    };
    const std::string wide_64k("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    for (const auto& [size, header] : {Case{0, std::string("\x81\x00", 2)}, Case{125, "\x81\x7d"},
                                       Case{126, std::string("\x81\x7e\x00\x7e", 4)},
                                       Case{65535, "\x81\x7e\xff\xff"}, Case{65536, wide_64k}}) {
        const auto json = text_of(size);
        const Frame frame(json);
        EXPECT_EQ(frame.wire(false), header + json) << size;
        EXPECT_EQ(frame.json(), json) << size;
    }
}

TEST(Frame, is_compressed_once_it_is_worth_it) {
    const auto below = text_of(kCompressFrom - 1), from = text_of(kCompressFrom);
    const Frame small(below), large(from);
    EXPECT_EQ(small.wire(true), small.wire(false));
    const auto wire = large.wire(true);
    ASSERT_LT(wire.size(), from.size());
    EXPECT_EQ(static_cast<unsigned char>(wire[0]), 0xC1) << "FIN, RSV1, text";
    const auto body = deflate_message(from);
    EXPECT_EQ(wire.substr(wire.size() - body.size()), body);
    EXPECT_EQ(inflate_message(body, from.size()).text, from);
    EXPECT_EQ(large.wire(true).data(), wire.data()) << "one compression serves all";
    EXPECT_EQ(large.wire(false).substr(4), from) << "the plain form stays";
}

TEST(Frame, what_does_not_shrink_stays_plain) {
    std::mt19937 random(1);
    std::string noise(4000, '\0');
    for (char& c : noise)
        c = static_cast<char>(random());
    const Frame frame(noise);
    EXPECT_EQ(frame.wire(true), frame.wire(false));
}

TEST(Frame, control_frames_are_never_compressed) {
    const auto ping = Frame::control(kPingOpcode, "hi");
    EXPECT_EQ(ping->wire(true), "\x89\x02hi");
    EXPECT_EQ(ping->wire(false), "\x89\x02hi");
    const auto close = Frame::control(kCloseOpcode, std::string(125, 'x'));
    EXPECT_EQ(close->wire(false).substr(0, 2), "\x88\x7d");
    EXPECT_EQ(Frame::raw("HTTP/1.1 101")->wire(true), "HTTP/1.1 101");
}

TEST(Deflate, round_trip) {
    std::mt19937 random(3);
    for (const std::size_t size : {0, 1, 100, 16 * 1024, 16 * 1024 + 1, 100'000}) {
        for (const unsigned letters : {1U, 4U, 256U}) {
            std::string plain(size, '\0');
            for (char& c : plain)
                c = static_cast<char>(random() % letters);
            const auto packed = deflate_message(plain);
            EXPECT_EQ(inflate_message(packed, size).text, plain) << size << ' ' << letters;
            if (size > 0)
                EXPECT_EQ(inflate_message(packed, size - 1).state, Inflated::State::too_big) << size;
        }
    }
}

}  // namespace
}  // namespace supd::ws
