#include <cache/resp.hpp>
#include <cache/slots.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <new>

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define SUPD_SHORT_MEMORY
namespace {
thread_local std::size_t most_at_once = std::numeric_limits<std::size_t>::max();
}  // namespace

// Memory that a test can make short. A sanitizer has its own, which cannot be replaced.
void* operator new(std::size_t size) {
    void* out = size > most_at_once ? nullptr : std::malloc(size == 0 ? 1 : size);
    if (!out) throw std::bad_alloc();
    return out;
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
#endif

namespace supd::cache {
namespace {

using Kind = Reply::Kind;

std::vector<Reply> parsed(std::string_view bytes, std::size_t step) {
    Parser parser;
    std::vector<Reply> out;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        parser.feed(bytes.substr(at, step));
        while (auto reply = parser.next())
            out.push_back(std::move(*reply));
    }
    return out;
}

TEST(Resp, commands_keep_every_byte) {
    std::string out = "before";
    append_command(out, {"SET", std::string("a\r\n\0b", 5), ""});
    EXPECT_EQ(out, std::string("before*3\r\n$3\r\nSET\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n", 36));
}

TEST(Resp, replies_of_every_kind_in_pieces_of_any_size) {
    const std::string_view bytes =
        "+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n$5\r\na\r\nb!\r\n*-1\r\n*0\r\n"
        "*3\r\n$7\r\nmessage\r\n*2\r\n:1\r\n$-1\r\n$0\r\n\r\n";
    for (const std::size_t step : {1U, 2U, 7U, 1000U}) {
        const auto all = parsed(bytes, step);
        ASSERT_EQ(all.size(), 8U) << step;
        EXPECT_EQ(all[0].kind, Kind::status);
        EXPECT_EQ(all[0].text, "OK");
        EXPECT_EQ(all[1].kind, Kind::error);
        EXPECT_EQ(all[1].text, "ERR no");
        EXPECT_EQ(all[2].integer, -42);
        EXPECT_EQ(all[3].kind, Kind::nil);
        EXPECT_EQ(all[4].text, "a\r\nb!");
        EXPECT_EQ(all[5].kind, Kind::nil);
        EXPECT_EQ(all[6].kind, Kind::array);
        EXPECT_TRUE(all[6].items.empty());
        ASSERT_EQ(all[7].items.size(), 3U);
        EXPECT_EQ(all[7].items[0].text, "message");
        ASSERT_EQ(all[7].items[1].items.size(), 2U);
        EXPECT_EQ(all[7].items[1].items[0].integer, 1);
        EXPECT_EQ(all[7].items[1].items[1].kind, Kind::nil);
        EXPECT_EQ(all[7].items[2].kind, Kind::text);
    }
}

TEST(Resp, what_is_no_reply_or_too_large_is_a_fault) {
    for (const auto* bytes : {"hello\r\n", "?x\r\n", "*2000000\r\n:1\r\n",
                              "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"})
        EXPECT_THROW(parsed(bytes, 100), ProtocolFault) << bytes;
    std::string nested = "*5\r\n";  // none of the lists is too long by itself
    for (int i = 0; i < 5; ++i) {
        nested += "*60000\r\n";
        for (int item = 0; item < 60'000; ++item)
            nested += ":1\r\n";
    }
    EXPECT_THROW(parsed(nested, 100'000), ProtocolFault);
    Parser parser;
    const std::string part(1 << 20, 'x');
    parser.feed("$134217728\r\n");
    EXPECT_THROW(
        {
            for (int i = 0; i < 100; ++i) {
                parser.feed(part);
                EXPECT_FALSE(parser.next());
            }
        },
        ProtocolFault);
}

TEST(Resp, a_fault_within_an_array_frees_what_was_read) {
    EXPECT_THROW(parsed("*2\r\n$5\r\nhello\r\nbad\r\n", 100), ProtocolFault);
    parsed("*2\r\n$5\r\nhello\r\n", 100);  // and one that never ends
}

#ifdef SUPD_SHORT_MEMORY
TEST(Resp, memory_that_is_short_is_a_fault) {
    const std::string text = "$100000\r\n" + std::string(100'000, 'x') + "\r\n";
    for (const auto& bytes : {text, "*2\r\n:1\r\n" + text, std::string("*10000\r\n"),
                              std::string("*2\r\n$1\r\nx\r\n*10000\r\n")}) {
        Parser parser;
        parser.feed(bytes);
        most_at_once = 10'000;
        bool refused = false;
        try {
            parser.next();
        } catch (const ProtocolFault&) {
            refused = true;
        }
        most_at_once = std::numeric_limits<std::size_t>::max();
        EXPECT_TRUE(refused) << bytes.substr(0, 20);
    }
}
#endif

TEST(Slots, of_keys_as_the_specification_says) {
    EXPECT_EQ(slot_of("123456789"), 0x31C3 % kSlots);
    EXPECT_EQ(slot_of("foo"), 12182);
    EXPECT_EQ(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
    EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
    EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar"));
    EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
}

Reply cluster_slots(std::string_view bytes) {
    return parsed(bytes, 4096).at(0);
}

TEST(Slots, are_read_and_move) {
    SlotMap map;
    EXPECT_FALSE(map.owner(0));
    const Endpoint asked{"seed", 7000}, other{"10.0.0.2", 7002};
    ASSERT_TRUE(map.read(cluster_slots("*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$0\r\n\r\n:7001\r\n"
                                       "*3\r\n:8192\r\n:16383\r\n*2\r\n$8\r\n10.0.0.2\r\n:7002\r\n"),
                         asked));
    EXPECT_EQ(map.owner(0), (Endpoint{"seed", 7001}));
    EXPECT_EQ(map.owner(16383), other);
    EXPECT_EQ(map.masters().size(), 2U);
    map.move(0, other);
    EXPECT_EQ(map.owner(0), other);
    EXPECT_EQ(map.owner(1), (Endpoint{"seed", 7001}));
    for (const auto* bad :
         {"+OK\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:1\r\n",
          "*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n$1\r\nh\r\n:1\r\n",
          "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nh\r\n:70000\r\n"})
        EXPECT_FALSE(map.read(cluster_slots(bad), asked)) << bad;
    EXPECT_EQ(map.owner(0), other) << "a bad reply changes nothing";
}

TEST(Slots, redirects) {
    const auto of = [](std::string text) {
        Reply reply;
        reply.kind = Kind::error;
        reply.text = std::move(text);
        return redirect_of(reply, {"seed", 1});
    };
    const auto moved = of("MOVED 3999 127.0.0.1:6381");
    ASSERT_TRUE(moved);
    EXPECT_FALSE(moved->ask);
    EXPECT_EQ(moved->slot, 3999);
    EXPECT_EQ(moved->to, (Endpoint{"127.0.0.1", 6381}));
    EXPECT_TRUE(of("ASK 1 ::1:6381")->ask);
    EXPECT_EQ(of("ASK 1 ::1:6381")->to, (Endpoint{"::1", 6381}));
    EXPECT_EQ(of("MOVED 1 :6381")->to, (Endpoint{"seed", 6381}));
    for (const auto* bad :
         {"ERR", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h:0", "MOVED 1 h:99999"})
        EXPECT_FALSE(of(bad)) << bad;
}

}  // namespace
}  // namespace supd::cache
