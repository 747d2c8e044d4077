// JSON of strangers: parse_json takes it or refuses it with a 400, and what it takes survives being written
// and read again; a typed reader over it takes it or refuses it with a 4xx.
#include "expect.hpp"

#include <supd/base/error.hpp>
#include <supd/base/ids.hpp>
#include <supd/base/json.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base = supd::base;

namespace {

int depth_of(const base::Json& value) {
    int deepest = 0;
    if (value.is_structured())
        for (const auto& each : value)
            deepest = std::max(deepest, depth_of(each));
    return deepest + (value.is_structured() ? 1 : 0);
}

// The shape of POST /messages: every kind of field that readers know.
void read_message(const base::Json& value) {
    base::ObjectReader reader(value);
    const auto id = reader.id<base::MessageId>("id");
    const auto chat = reader.id<base::ChatId>("chat_id");
    const auto text = reader.maybe_text("text", {1, 4096});
    const auto seq = reader.maybe_integer("seq", 1, 1'000'000);
    const auto mentions = reader.ids<base::UserId>("mentions", 50);
    const auto silent = reader.maybe_flag("silent");
    static_cast<void>(reader.raw("metadata"));
    reader.finish();
    FUZZ_EXPECT(id != base::MessageId{} || value.contains("id"));
    FUZZ_EXPECT(chat != base::ChatId{} || value.contains("chat_id"));
    FUZZ_EXPECT(!text || (!text->empty() && text->size() <= 4096));
    FUZZ_EXPECT(!seq || (*seq >= 1 && *seq <= 1'000'000));
    FUZZ_EXPECT(mentions.size() <= 50);
    FUZZ_EXPECT(!silent || value["silent"].is_boolean());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    base::Json value;
    try {
        value = base::parse_json(text);
    } catch (const base::Error& error) {
        FUZZ_EXPECT(error.status() == 400);
        return 0;
    }
    FUZZ_EXPECT(depth_of(value) <= base::kMaxJsonDepth);
    const auto written = value.dump();
    FUZZ_EXPECT(written.find('\0') == std::string::npos);
    FUZZ_EXPECT(base::parse_json(written) == value);
    try {
        read_message(value);
    } catch (const base::Error& error) {
        FUZZ_EXPECT(error.status() >= 400 && error.status() < 500);
        FUZZ_EXPECT(base::Json::accept(base::problem_json(error, "fuzz")));
    }
    return 0;
}
