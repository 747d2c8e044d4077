// WebSocket bytes of strangers: however they are cut into packets, the same messages come out and the same
// fault ends them; no message is larger than allowed, compressed or not.
#include "expect.hpp"

#include <supd/ws/frame_decoder.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ws = supd::ws;

namespace {

using Kind = ws::FrameDecoder::Kind;

struct Seen {
    Kind kind;
    std::string payload;
    int fault;
    bool operator==(const Seen&) const = default;
};

std::vector<Seen> decode(std::string bytes, std::size_t step, bool deflate) {
    ws::FrameDecoder decoder(deflate);
    std::vector<Seen> seen;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        std::span<char> part(bytes.data() + at, std::min(step, bytes.size() - at));
        for (bool more = true; more;) {
            const auto before = part.size();
            const auto event = decoder.next(part);
            FUZZ_EXPECT(part.size() <= before);
            switch (event.kind) {
                case Kind::need_more:
                    FUZZ_EXPECT(part.empty());
                    more = false;
                    break;
                case Kind::fault:
                    seen.push_back({event.kind, "", static_cast<int>(event.fault)});
                    return seen;
                default:
                    FUZZ_EXPECT(event.payload.size() <= ws::kMaxMessageBytes);
                    FUZZ_EXPECT(event.kind == Kind::text || event.payload.size() <= ws::kMaxControlBytes);
                    seen.push_back({event.kind, std::string(event.payload), 0});
                    if (event.kind == Kind::close) return seen;
                    FUZZ_EXPECT(part.size() < before);
            }
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const bool deflate = (data[0] & 1) != 0;
    const std::size_t step = 1 + data[1] % 64;
    const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    if (bytes.empty()) return 0;
    FUZZ_EXPECT(decode(bytes, bytes.size(), deflate) == decode(bytes, step, deflate));
    return 0;
}
