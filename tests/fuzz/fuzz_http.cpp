// Requests of strangers: however the bytes are cut into packets, head and body end at the same places with
// the same verdict, and nothing that the head promises is exceeded.
#include "expect.hpp"
#include "http/body.hpp"
#include "http/head.hpp"
#include "http/target.hpp"

#include <supd/http/limits.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace http = supd::http;

namespace {

constexpr std::uint64_t kBodyLimit = 4096;

struct Outcome {
    int status = 0;  ///< of the refusal, 0: none
    std::size_t used = 0;
    bool complete = false;
    std::string body;
    bool operator==(const Outcome&) const = default;
};

http::HeadEnd find_in_steps(std::string_view bytes, std::size_t step) {
    std::size_t scanned = 0;
    http::HeadEnd end;
    for (std::size_t have = 0; have < bytes.size() && end.state == http::HeadEnd::State::more;) {
        have = std::min(bytes.size(), have + step);
        end = http::find_head_end(bytes.substr(0, have), scanned);
    }
    return end;
}

Outcome read_body(std::string_view head_bytes, const http::Head& head, std::string_view rest,
                  std::size_t step) {
    http::BodyReader reader(head_bytes, head, kBodyLimit);
    Outcome out;
    std::size_t have = 0;
    for (int stuck = 0; stuck < 2;) {
        have = std::min(rest.size(), std::max(have, out.used) + step);
        std::size_t used = 0;
        const auto state = reader.feed(rest.substr(out.used, have - out.used), used);
        FUZZ_EXPECT(used <= have - out.used);
        out.used += used;
        if (state == http::BodyReader::State::refused) {
            out.status = reader.fault().status;
            FUZZ_EXPECT(out.status >= 400 && out.status < 500);
            out.used = 0;  // how far it read before refusing, and which fault it met first, may depend on the
                           // packets
            out.status = 400;
            return out;
        }
        if (state == http::BodyReader::State::done) {
            out.complete = true;
            out.body = reader.take();
            FUZZ_EXPECT(out.body.size() <= kBodyLimit);
            FUZZ_EXPECT(!head.content_length || out.body.size() == *head.content_length);
            return out;
        }
        stuck = have == rest.size() && used == 0 ? stuck + 1 : 0;
    }
    out.used = 0;
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::size_t step = 1 + data[0] % 64;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

    static_cast<void>(http::fields_of_refused(bytes));
    static_cast<void>(http::percent_decoded(bytes, true));
    if (const auto target = http::parse_target(bytes))
        FUZZ_EXPECT(target->query.size() <= http::kMaxQueryValues);

    const auto whole = find_in_steps(bytes, std::max<std::size_t>(bytes.size(), 1));
    const auto parts = find_in_steps(bytes, step);
    if (whole.state == http::HeadEnd::State::found) {
        FUZZ_EXPECT(parts.state == whole.state && parts.size == whole.size);
        FUZZ_EXPECT(whole.size <= bytes.size());
    }
    if (parts.state == http::HeadEnd::State::found) FUZZ_EXPECT(whole.state == parts.state);
    if (whole.state != http::HeadEnd::State::found) return 0;

    const auto head_bytes = bytes.substr(0, whole.size);
    const auto parsed = http::parse_head(head_bytes);
    if (const auto* fault = std::get_if<http::Fault>(&parsed)) {
        FUZZ_EXPECT(fault->status >= 400 && fault->status < 600);
        return 0;
    }
    const auto& head = std::get<http::Head>(parsed);
    FUZZ_EXPECT(head.headers.size() <= http::kMaxHeaderFields);
    FUZZ_EXPECT(!(head.chunked && head.content_length));
    if (!head.has_body()) return 0;
    const auto rest = bytes.substr(whole.size);
    const auto once = read_body(head_bytes, head, rest, std::max<std::size_t>(rest.size(), 1));
    FUZZ_EXPECT(once == read_body(head_bytes, head, rest, step));
    return 0;
}
