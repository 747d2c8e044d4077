// Cursors of strangers: refused, or a cursor that is written again as it was read.
#include "expect.hpp"

#include <supd/chatlog/cursor.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

using supd::chatlog::Cursor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto cursor = Cursor::decode(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!cursor) return 0;
    const auto again = Cursor::decode(cursor->encode());
    FUZZ_EXPECT(again.has_value());
    FUZZ_EXPECT(again->epoch == cursor->epoch && again->w == cursor->w);
    FUZZ_EXPECT(again->page.has_value() == cursor->page.has_value());
    if (cursor->page) {
        FUZZ_EXPECT(again->page->upto_w == cursor->page->upto_w);
        FUZZ_EXPECT(again->page->chat == cursor->page->chat && again->page->after == cursor->page->after);
    }
    return 0;
}
