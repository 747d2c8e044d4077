#include "client_frames.hpp"

#include <supd/ws/frame_decoder.hpp>

#include <gtest/gtest.h>
#include <ws/deflate.hpp>

#include <algorithm>
#include <array>
#include <ostream>
#include <random>
#include <vector>

namespace supd::ws {

std::ostream& operator<<(std::ostream& out, FrameDecoder::Kind kind) {
    static constexpr std::array kNames{"need_more", "text", "ping", "pong", "close", "fault"};
    return out << kNames.at(static_cast<std::size_t>(kind));
}

namespace {

using namespace testing_;
using Kind = FrameDecoder::Kind;

struct Seen {
    Kind kind;
    std::string payload;
    unsigned fault = 0;
    bool operator==(const Seen&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const Seen& seen) {
        return out << seen.kind << ' ' << seen.payload.substr(0, 60) << ' ' << seen.fault;
    }
};
using All = std::vector<Seen>;

/// What comes out when `bytes` arrive in packets of `step` bytes; a fault is the end.
All decode_by(std::size_t step, std::string bytes, bool deflate) {
    FrameDecoder decoder(deflate);
    All seen;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        std::span<char> packet(bytes.data() + at, std::min(step, bytes.size() - at));
        for (;;) {
            const auto event = decoder.next(packet);
            if (event.kind == Kind::need_more) break;
            if (event.kind == Kind::fault) {
                seen.push_back({event.kind, "", static_cast<unsigned>(event.fault)});
                return seen;
            }
            seen.push_back({event.kind, std::string(event.payload)});
        }
        EXPECT_TRUE(packet.empty()) << "need_more leaves nothing behind";
    }
    return seen;
}

/// In one packet; how the bytes are cut must make no difference.
All decode(const std::string& bytes, bool deflate = false) {
    const auto whole = decode_by(std::max<std::size_t>(bytes.size(), 1), bytes, deflate);
    for (const std::size_t step : {1, 2, 3, 7, 13, 4096})
        EXPECT_EQ(decode_by(step, bytes, deflate), whole) << "in packets of " << step;
    return whole;
}

All text(std::string payload) {
    return {{Kind::text, std::move(payload)}};
}
All fault(CloseCode code) {
    return {{Kind::fault, "", static_cast<unsigned>(code)}};
}

constexpr auto kProtocol = CloseCode::protocol_error;

TEST(FrameDecoder, reads_every_form_of_length) {
    for (const std::size_t size : {0, 1, 4, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 65537}) {
        std::string payload(size, '\0');
        for (std::size_t i = 0; i < size; ++i)
            payload[i] = static_cast<char>('a' + i % 26);
        EXPECT_EQ(decode(client_frame(kText, payload)), text(payload)) << size;
    }
}

TEST(FrameDecoder, unmasks_at_every_offset) {
    std::string payload;
    for (int i = 0; i < 100; ++i)
        payload += std::to_string(i);
    const auto bytes = client_frame(kText, payload);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        FrameDecoder decoder;
        auto first = bytes.substr(0, cut), second = bytes.substr(cut);
        std::span<char> packet(first);
        ASSERT_EQ(decoder.next(packet).kind, Kind::need_more);
        packet = second;
        ASSERT_EQ(decoder.next(packet).payload, payload) << cut;
    }
}

TEST(FrameDecoder, one_packet_may_hold_many_frames) {
    const auto bytes = client_frame(kText, "one") + client_frame(kPing, "p") + client_frame(kText, "two") +
                       client_frame(kPong, "q") + client_frame(kClose, close_payload(1000, "bye"));
    EXPECT_EQ(decode(bytes), (All{{Kind::text, "one"},
                                  {Kind::ping, "p"},
                                  {Kind::text, "two"},
                                  {Kind::pong, "q"},
                                  {Kind::close, close_payload(1000, "bye")}}));
}

TEST(FrameDecoder, what_is_not_masked_is_a_fault) {
    EXPECT_EQ(decode(client_frame(kText, "{}", {.masked = false})), fault(kProtocol));
    EXPECT_EQ(decode(client_frame(kPing, "", {.masked = false})), fault(kProtocol));
}

TEST(FrameDecoder, fragments_are_one_message_with_control_frames_between) {
    const auto bytes = client_frame(kText, "He", kNotLast) + client_frame(kPing, "1") +
                       client_frame(kMore, "", kNotLast) + client_frame(kPong, "") +
                       client_frame(kMore, "ll", kNotLast) + client_frame(kMore, "o") +
                       client_frame(kText, "next");
    EXPECT_EQ(decode(bytes),
              (All{{Kind::ping, "1"}, {Kind::pong, ""}, {Kind::text, "Hello"}, {Kind::text, "next"}}));
    EXPECT_EQ(decode(client_frame(kText, "", kNotLast) + client_frame(kMore, "")), text(""));
    EXPECT_EQ(decode(client_frame(kText, "a", kNotLast) + client_frame(kClose, "")),
              (All{{Kind::close, ""}}));
}

TEST(FrameDecoder, fragments_follow_their_rules) {
    EXPECT_EQ(decode(client_frame(kMore, "x")), fault(kProtocol)) << "a continuation of nothing";
    EXPECT_EQ(decode(client_frame(kText, "a", kNotLast) + client_frame(kText, "b")), fault(kProtocol));
    const auto after_the_end =
        client_frame(kText, "a", kNotLast) + client_frame(kMore, "b") + client_frame(kMore, "c");
    EXPECT_EQ(decode(after_the_end),
              (All{{Kind::text, "ab"}, {Kind::fault, "", static_cast<unsigned>(kProtocol)}}));
}

TEST(FrameDecoder, the_number_of_fragments_is_bounded_for_each_message) {
    const auto message = [](int fragments) {
        std::string bytes = client_frame(kText, "x", kNotLast);
        for (int i = 2; i < fragments; ++i)
            bytes += client_frame(kMore, "x", kNotLast);
        return bytes + client_frame(kMore, "x");
    };
    const All one = text(std::string(kMaxFragments, 'x'));
    EXPECT_EQ(decode(message(kMaxFragments)), one);
    EXPECT_EQ(decode(message(kMaxFragments) + message(kMaxFragments)), (All{one.front(), one.front()}));
    EXPECT_EQ(decode(message(kMaxFragments + 1)), fault(CloseCode::too_big));
}

TEST(FrameDecoder, control_frames_are_small_and_whole) {
    const std::string most(kMaxControlBytes, 'p');
    EXPECT_EQ(decode(client_frame(kPing, most)), (All{{Kind::ping, most}}));
    for (const auto opcode : {kClose, kPing, kPong}) {
        EXPECT_EQ(decode(client_frame(opcode, most + "p")), fault(kProtocol));
        EXPECT_EQ(decode(client_frame(opcode, "", kNotLast)), fault(kProtocol));
        EXPECT_EQ(decode(client_frame(opcode, "ab", {.length_bytes = 2})), fault(kProtocol));
    }
}

TEST(FrameDecoder, text_is_utf8_judged_as_a_whole) {
    const std::string euro = "\xE2\x82\xAC", smile = "\xF0\x9F\x99\x82";
    EXPECT_EQ(decode(client_frame(kText, euro + smile)), text(euro + smile));
    for (std::size_t cut = 1; cut < smile.size(); ++cut) {
        const auto halves = client_frame(kText, smile.substr(0, cut), kNotLast) + client_frame(kPing, "") +
                            client_frame(kMore, smile.substr(cut));
        EXPECT_EQ(decode(halves), (All{{Kind::ping, ""}, {Kind::text, smile}}))
            << "a character may be cut by fragments";
        const auto half = client_frame(kText, smile.substr(0, cut), kNotLast) + client_frame(kMore, "");
        EXPECT_EQ(decode(half), fault(CloseCode::bad_data));
    }
    const auto across = client_frame(kText, "\xE2\x82", kNotLast) + client_frame(kMore, "\x41");
    EXPECT_EQ(decode(across), fault(CloseCode::bad_data)) << "each half alone could still become right";
    using namespace std::string_literals;
    for (const auto& bad : {"\xC3\x28"s, "\xC0\xAF"s, "\xED\xA0\x80"s, "\xF4\x90\x80\x80"s, "\x80"s,
                            "\xE2\x82"s, "\xFF"s, "\xF5\x80\x80\x80"s})
        EXPECT_EQ(decode(client_frame(kText, "a" + bad)), fault(CloseCode::bad_data));
}

TEST(FrameDecoder, what_is_too_big_is_refused_by_its_header) {
    const std::string most(kMaxMessageBytes, 'x');
    EXPECT_EQ(decode_by(most.size(), client_frame(kText, most), false), text(most));
    for (const std::uint64_t size :
         {std::uint64_t{kMaxMessageBytes} + 1, std::uint64_t{1} << 40, (std::uint64_t{1} << 63) - 1})
        EXPECT_EQ(decode(client_frame(kText, "", {.announced = size})), fault(CloseCode::too_big)) << size;

    const std::string half(kMaxMessageBytes / 2, 'x');
    const auto first = client_frame(kText, half, kNotLast);
    EXPECT_EQ(decode_by(8192, first + client_frame(kMore, half), false), text(most));
    const auto more = client_frame(kMore, "", {.announced = half.size() + 1});
    EXPECT_EQ(decode_by(8192, first + more, false), fault(CloseCode::too_big)) << "the sum counts";
}

TEST(FrameDecoder, reserved_bits_and_opcodes_are_faults) {
    for (const unsigned char reserved : {1, 2, 3, 4, 5, 6, 7}) {
        EXPECT_EQ(decode(client_frame(kText, "{}", {.reserved = reserved})), fault(kProtocol));
        EXPECT_EQ(decode(client_frame(kPing, "", {.reserved = reserved}), true), fault(kProtocol));
    }
    for (const unsigned char opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
        EXPECT_EQ(decode(client_frame(opcode, "")), fault(kProtocol)) << int{opcode};
    EXPECT_EQ(decode(client_frame(kBinary, "\x01")), fault(CloseCode::unsupported));
}

TEST(FrameDecoder, lengths_are_in_their_shortest_form) {
    for (const std::size_t size : {0, 1, 125}) {
        EXPECT_EQ(decode(client_frame(kText, std::string(size, 'x'), {.length_bytes = 2})), fault(kProtocol));
        EXPECT_EQ(decode(client_frame(kText, std::string(size, 'x'), {.length_bytes = 8})), fault(kProtocol));
    }
    EXPECT_EQ(decode(client_frame(kText, std::string(65535, 'x'), {.length_bytes = 8})), fault(kProtocol));
    EXPECT_EQ(decode(client_frame(kText, "", {.announced = std::uint64_t{1} << 63})), fault(kProtocol));
}

TEST(FrameDecoder, a_close_says_nothing_or_a_code_and_text) {
    for (const unsigned code : {1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4401, 4999})
        EXPECT_EQ(decode(client_frame(kClose, close_payload(code, "why"))),
                  (All{{Kind::close, close_payload(code, "why")}}));
    EXPECT_EQ(decode(client_frame(kClose, "")), (All{{Kind::close, ""}}));
    EXPECT_EQ(decode(client_frame(kClose, "\x03")), fault(kProtocol)) << "half a code";
    for (const unsigned code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535})
        EXPECT_EQ(decode(client_frame(kClose, close_payload(code))), fault(kProtocol)) << code;
    EXPECT_EQ(decode(client_frame(kClose, close_payload(1000, "\xFF"))), fault(CloseCode::bad_data));
}

TEST(FrameDecoder, after_a_fault_nothing_is_looked_at) {
    auto bytes = client_frame(3, "") + client_frame(kText, "later");
    FrameDecoder decoder;
    std::span<char> packet(bytes);
    EXPECT_EQ(decoder.next(packet).kind, Kind::fault);
    EXPECT_EQ(decoder.next(packet).kind, Kind::need_more);
    EXPECT_TRUE(packet.empty());
}

TEST(FrameDecoder, random_messages_in_random_fragments_and_packets) {
    std::mt19937 random(7);
    const auto below = [&](std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
    };
    for (int round = 0; round < 200; ++round) {
        std::string bytes;
        All expected;
        for (auto messages = 1 + below(4); messages > 0; --messages) {
            std::string message(below(3) == 0 ? below(70'000) : below(300), ' ');
            for (char& c : message)
                c = static_cast<char>(32 + below(95));
            std::size_t at = 0;
            for (bool first = true, last = false; !last; first = false) {
                const auto part = message.substr(at, below(message.size() + 1));
                at += part.size();
                last = at == message.size();
                bytes += client_frame(first ? kText : kMore, part, {.fin = last});
                if (!last && below(3) == 0) {
                    bytes += client_frame(kPing, "between");
                    expected.push_back({Kind::ping, "between"});
                }
                if (!last && !first && at + 200 < message.size()) {  // few enough fragments
                    bytes += client_frame(kMore, message.substr(at));
                    last = true;
                }
            }
            expected.push_back({Kind::text, message});
        }
        ASSERT_EQ(decode_by(1 + below(bytes.size()), bytes, false), expected) << round;
    }
}

// -- permessage-deflate (RFC 7692)

TEST(FrameDecoder, inflates_what_is_compressed) {
    std::string json = R"({"type":"message","data":{"text":")";
    for (int i = 0; i < 500; ++i)
        json += "again and again ";
    json += "\"}}";
    const auto packed = deflate_message(json);
    ASSERT_LT(packed.size(), json.size() / 4);
    EXPECT_EQ(decode(client_frame(kText, packed, kCompressed), true), text(json));
    EXPECT_EQ(decode(client_frame(kText, "plain"), true), text("plain")) << "compression is by message";
    EXPECT_EQ(decode(client_frame(kText, deflate_message(""), kCompressed), true), text(""));

    const auto cut = packed.size() / 3;
    const auto fragments = client_frame(kText, packed.substr(0, cut), {.fin = false, .reserved = 4}) +
                           client_frame(kPing, "") + client_frame(kMore, packed.substr(cut)) +
                           client_frame(kText, "plain");
    EXPECT_EQ(decode(fragments, true), (All{{Kind::ping, ""}, {Kind::text, json}, {Kind::text, "plain"}}));
}

TEST(FrameDecoder, each_compressed_message_stands_alone) {
    // The second of two equal messages is as long as the first: no window is kept from one to the next.
    const auto packed = deflate_message(std::string(2000, 'a') + "b");
    EXPECT_EQ(packed, deflate_message(std::string(2000, 'a') + "b"));
    const auto frame = client_frame(kText, packed, kCompressed);
    const Seen one{Kind::text, std::string(2000, 'a') + "b"};
    EXPECT_EQ(decode(frame + frame, true), (All{one, one}));
}

TEST(FrameDecoder, stored_and_final_blocks_are_read) {
    // RFC 7692 section 7.2.3: the examples.
    EXPECT_EQ(
        decode(client_frame(kText, "\xf2\x48\xcd\xc9\xc9\x07" + std::string(1, '\0'), kCompressed), true),
        text("Hello"));
    const std::string stored("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
    EXPECT_EQ(decode(client_frame(kText, stored, kCompressed), true), text("Hello"));
    const std::string final_block("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
    EXPECT_EQ(decode(client_frame(kText, final_block, kCompressed), true), text("Hello"));
    const std::string two_blocks("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13);
    EXPECT_EQ(decode(client_frame(kText, two_blocks, kCompressed), true), text("Hello"));
}

TEST(FrameDecoder, rsv1_marks_only_the_beginning_of_a_negotiated_message) {
    const auto packed = deflate_message("Hello");
    EXPECT_EQ(decode(client_frame(kText, packed, kCompressed), false), fault(kProtocol));
    const auto twice = client_frame(kText, packed.substr(0, 2), {.fin = false, .reserved = 4}) +
                       client_frame(kMore, packed.substr(2), kCompressed);
    EXPECT_EQ(decode(twice, true), fault(kProtocol));
}

TEST(FrameDecoder, a_bomb_is_stopped_while_it_inflates) {
    const auto most = deflate_message(std::string(kMaxMessageBytes, 'x'));
    EXPECT_EQ(decode_by(most.size(), client_frame(kText, most, kCompressed), true),
              text(std::string(kMaxMessageBytes, 'x')));
    const auto over = deflate_message(std::string(kMaxMessageBytes + 1, 'x'));
    EXPECT_EQ(decode(client_frame(kText, over, kCompressed), true), fault(CloseCode::too_big));
    const auto bomb = deflate_message(std::string(32 * 1024 * 1024, '\0'));
    ASSERT_LT(bomb.size(), kMaxMessageBytes) << "small enough to be taken in";
    EXPECT_EQ(decode_by(bomb.size(), client_frame(kText, bomb, kCompressed), true),
              fault(CloseCode::too_big));
    EXPECT_EQ(inflate_message(bomb, 1000).state, Inflated::State::too_big);
}

TEST(FrameDecoder, what_does_not_inflate_is_bad_data) {
    using namespace std::string_literals;
    for (const auto& bad : {"\xff\xff\xff\xff"s, "\x06"s, "garbage"s, "\x01\x05\x00\x00\x00"s})
        EXPECT_EQ(decode(client_frame(kText, bad, kCompressed), true), fault(CloseCode::bad_data));
    EXPECT_EQ(decode(client_frame(kText, deflate_message("\xC3\x28"), kCompressed), true),
              fault(CloseCode::bad_data))
        << "inflated text is UTF-8 as well";
}

}  // namespace
}  // namespace supd::ws
