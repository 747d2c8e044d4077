#include "deflate.hpp"

#include <zlib.h>

#include <array>
#include <stdexcept>

namespace supd::ws {
namespace {

constexpr int kRawWindow = -15;
constexpr int kLevel = 3;  // chat JSON: nearly all of the gain, a fraction of the time of the default

struct Deflater {
    z_stream stream{};
    Deflater() {
        if (deflateInit2(&stream, kLevel, Z_DEFLATED, kRawWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::runtime_error("zlib: deflateInit2");
    }
    ~Deflater() { deflateEnd(&stream); }
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;
};

struct Inflater {
    z_stream stream{};
    Inflater() {
        if (inflateInit2(&stream, kRawWindow) != Z_OK) throw std::runtime_error("zlib: inflateInit2");
    }
    ~Inflater() { inflateEnd(&stream); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
};

Bytef* bytes_of(std::string_view text) {
    return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));  // zlib's next_in is not const
}

}  // namespace

std::string deflate_message(std::string_view plain) {
    static thread_local Deflater deflater;
    auto& z = deflater.stream;
    deflateReset(&z);
    std::string out(deflateBound(&z, plain.size()) + 16, '\0');
    z.next_in = bytes_of(plain);
    z.avail_in = static_cast<uInt>(plain.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    if (::deflate(&z, Z_SYNC_FLUSH) != Z_OK) throw std::runtime_error("zlib: deflate");
    out.resize(out.size() - z.avail_out - 4);
    return out;
}

Inflated inflate_message(std::string_view payload, std::size_t max) {
    static thread_local Inflater inflater;
    static constexpr std::string_view kTail("\x00\x00\xff\xff", 4);
    auto& z = inflater.stream;
    inflateReset(&z);
    Inflated out;
    std::array<char, 16 * 1024> chunk;
    for (const auto part : {payload, kTail}) {
        z.next_in = bytes_of(part);
        z.avail_in = static_cast<uInt>(part.size());
        do {
            z.next_out = reinterpret_cast<Bytef*>(chunk.data());
            z.avail_out = static_cast<uInt>(chunk.size());
            const int code = ::inflate(&z, Z_SYNC_FLUSH);
            if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
                out.state = Inflated::State::corrupt;
                return out;
            }
            const auto got = chunk.size() - z.avail_out;
            if (out.text.size() + got > max) {
                out.state = Inflated::State::too_big;
                return out;
            }
            out.text.append(chunk.data(), got);
            if (code == Z_STREAM_END)
                inflateReset(&z);  // a final block (BFINAL) may end early; more may follow
            if (code == Z_BUF_ERROR) break;
        } while (z.avail_in > 0 || z.avail_out == 0);
    }
    return out;
}

}  // namespace supd::ws
