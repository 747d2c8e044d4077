// What a client writes on the socket (RFC 6455 section 5.2), right or wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace supd::ws::testing_ {

enum Opcode : unsigned char { kMore = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

struct Form {
    bool fin = true;
    unsigned char reserved = 0;  ///< RSV1 = 4, RSV2 = 2, RSV3 = 1
    bool masked = true;
    int length_bytes = -1;                 ///< 0, 2 or 8 instead of the shortest
    std::uint64_t announced = UINT64_MAX;  ///< a length other than the payload's
};

inline constexpr Form kNotLast{.fin = false};
inline constexpr Form kCompressed{.reserved = 4};

inline std::string client_frame(unsigned char opcode, std::string_view payload, Form form = {}) {
    static constexpr unsigned char kMask[] = {0x37, 0xFA, 0x21, 0x3D};
    const auto size = form.announced == UINT64_MAX ? payload.size() : form.announced;
    int bytes = form.length_bytes;
    if (bytes < 0) bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const auto length = bytes == 0 ? size : bytes == 2 ? 126U : 127U;
    std::string out;
    out += static_cast<char>((form.fin ? 0x80 : 0) | form.reserved << 4 | opcode);
    out += static_cast<char>((form.masked ? 0x80 : 0) | length);
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
        out += static_cast<char>(size >> shift & 0xFF);
    if (!form.masked) return out.append(payload);
    for (const auto byte : kMask)
        out += static_cast<char>(byte);
    for (std::size_t i = 0; i < payload.size(); ++i)
        out += static_cast<char>(static_cast<unsigned char>(payload[i]) ^ kMask[i & 3]);
    return out;
}

inline std::string close_payload(unsigned code, std::string_view reason = "") {
    std::string out{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    return out.append(reason);
}

}  // namespace supd::ws::testing_
