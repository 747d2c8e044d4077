#include "deflate.hpp"

#include <supd/ws/frame.hpp>

#include <cstdint>

namespace supd::ws {
namespace {

constexpr unsigned char kFinText = 0x81;
constexpr unsigned char kRsv1 = 0x40;

std::size_t append_header(std::string& out, unsigned char first, std::size_t size) {
    const auto before = out.size();
    out += static_cast<char>(first);
    if (size < 126) {
        out += static_cast<char>(size);
    } else if (size < 65536) {
        out += static_cast<char>(126);
        out += static_cast<char>(size >> 8);
        out += static_cast<char>(size & 0xFF);
    } else {
        out += static_cast<char>(127);
        for (int shift = 56; shift >= 0; shift -= 8)
            out += static_cast<char>((size >> shift) & 0xFF);
    }
    return out.size() - before;
}

}  // namespace

Frame::Frame(std::string_view json) {
    wire_.reserve(json.size() + 10);
    header_ = append_header(wire_, kFinText, json.size());
    wire_ += json;
}

FramePtr Frame::raw(std::string wire) {
    std::shared_ptr<Frame> out(new Frame);
    out->header_ = wire.size();
    out->wire_ = std::move(wire);
    return out;
}

FramePtr Frame::control(unsigned char opcode, std::string_view payload) {
    std::string out;
    out += static_cast<char>(0x80 | opcode);
    out += static_cast<char>(payload.size());
    out += payload;
    return raw(std::move(out));
}

std::string_view Frame::wire(bool compressed) const {
    if (!compressed || wire_.size() - header_ < kCompressFrom) return wire_;
    std::call_once(deflate_once_, [this] {
        const auto body = deflate_message(json());
        if (body.size() + 10 >= wire_.size()) return;  // incompressible: the plain form serves
        append_header(deflated_, kFinText | kRsv1, body.size());
        deflated_ += body;
    });
    return deflated_.empty() ? std::string_view(wire_) : std::string_view(deflated_);
}

}  // namespace supd::ws
