#include <supd/chatlog/cursor.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

namespace supd::chatlog {
namespace {

using base::ChatId;

Cursor with_page(std::uint64_t upto_w, ChatId chat, std::int64_t after) {
    Cursor out;
    out.epoch = base::make_uuid_v7();
    out.w = 7;
    out.page = Cursor::Page{upto_w, chat, after};
    return out;
}

void expect_same(const std::optional<Cursor>& got, const Cursor& expected) {
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->epoch, expected.epoch);
    EXPECT_EQ(got->w, expected.w);
    ASSERT_EQ(got->page.has_value(), expected.page.has_value());
    if (!expected.page) return;
    EXPECT_EQ(got->page->upto_w, expected.page->upto_w);
    EXPECT_EQ(got->page->chat, expected.page->chat);
    EXPECT_EQ(got->page->after, expected.page->after);
}

const Cursor kCursors[] = {
    {},
    {base::make_uuid_v7(), 1, std::nullopt},
    {base::make_uuid_v7(), std::numeric_limits<std::uint64_t>::max(), std::nullopt},
    with_page(0, ChatId{}, 0),
    with_page(8, ChatId::make(), 1234567890123),
    with_page(std::numeric_limits<std::uint64_t>::max(), ChatId::make(),
              std::numeric_limits<std::int64_t>::max()),
    with_page(9, ChatId::make(), Cursor::kSnapshot),
};

TEST(Cursor, is_read_as_it_was_written) {
    for (const auto& cursor : kCursors) {
        const auto text = cursor.encode();
        EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                  std::string::npos)
            << "goes into a URL as it is: " << text;
        expect_same(Cursor::decode(text), cursor);
    }
}

TEST(Cursor, a_part_or_more_than_all_of_it_is_none) {
    for (const auto& cursor : kCursors) {
        const auto text = cursor.encode();
        for (std::size_t size = 0; size < text.size(); ++size) {
            const auto read = Cursor::decode(text.substr(0, size));
            if (!read) continue;
            // What comes before the page is the cursor that the pages began with: nothing is skipped.
            EXPECT_TRUE(cursor.page) << size << " of " << text;
            EXPECT_EQ(read->w, cursor.w);
            EXPECT_FALSE(read->page);
        }
        for (const char* more : {"A", "AA", "AAAA", "=", "==", "AAAAAAAAAAAA", "\n", " "})
            EXPECT_FALSE(Cursor::decode(text + more)) << text << more;
        EXPECT_FALSE(Cursor::decode(text + std::string(1, '\0')));
        EXPECT_FALSE(Cursor::decode(text + text));
    }
}

TEST(Cursor, foreign_characters_and_versions_are_none) {
    for (const auto& cursor : kCursors) {
        const auto text = cursor.encode();
        for (std::size_t at = 0; at < text.size(); ++at)
            for (const char bad : {'+', '/', '=', ' ', '.', '\0', '\x80', '\xff'}) {
                auto changed = text;
                changed[at] = bad;
                EXPECT_FALSE(Cursor::decode(changed)) << at;
            }
        auto later = text;
        later[0] = 'B';  // the version is the first byte
        EXPECT_FALSE(Cursor::decode(later));
    }
}

TEST(Cursor, has_one_text_only) {
    for (const auto& cursor : kCursors) {
        const auto text = cursor.encode();
        for (const char last :
             std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
            const auto changed = text.substr(0, text.size() - 1) + last;
            if (const auto read = Cursor::decode(changed)) EXPECT_EQ(read->encode(), changed);
        }
    }
}

TEST(Cursor, garbage_is_none_or_a_cursor_like_any) {
    std::mt19937 random(11);
    for (int round = 0; round < 20'000; ++round) {
        std::string text(random() % 90, '\0');
        for (char& c : text)
            c = static_cast<char>(random());
        EXPECT_FALSE(Cursor::decode(text)) << round;
    }
    for (const char* text : {"", "A", "null", "undefined", "eyJhbGciOiJFZERTQSJ9", "../../etc/passwd", "0"})
        EXPECT_FALSE(Cursor::decode(text)) << text;
    EXPECT_FALSE(Cursor::decode(std::string(1 << 20, 'A')));
    for (const auto& cursor : kCursors) {
        auto text = cursor.encode();
        for (int round = 0; round < 200; ++round) {
            auto changed = text;
            changed[random() % changed.size()] = "Aa0-_"[random() % 5];
            if (const auto read = Cursor::decode(changed)) EXPECT_EQ(read->encode(), changed);
        }
    }
}

}  // namespace
}  // namespace supd::chatlog
