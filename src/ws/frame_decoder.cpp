#include "deflate.hpp"

#include <supd/base/json_text.hpp>
#include <supd/ws/frame_decoder.hpp>

#include <algorithm>
#include <cstring>

namespace supd::ws {
namespace {

constexpr std::uint8_t kContinuation = 0, kText = 1, kClose = 8, kPing = 9, kPong = 10;

void unmask(char* data, std::size_t size, const unsigned char* mask, std::uint64_t offset) {
    unsigned char turned[8];
    for (std::size_t i = 0; i < 8; ++i)
        turned[i] = mask[(offset + i) & 3];
    std::uint64_t wide;
    std::memcpy(&wide, turned, 8);
    std::size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        std::uint64_t word;
        std::memcpy(&word, data + i, 8);
        word ^= wide;
        std::memcpy(data + i, &word, 8);
    }
    for (; i < size; ++i)
        data[i] = static_cast<char>(data[i] ^ static_cast<char>(turned[i & 7]));
}

bool is_control(std::uint8_t opcode) {
    return opcode >= 8;
}

/// RFC 6455 section 7.4: codes that an endpoint may send.
bool is_close_code(unsigned code) {
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

}  // namespace

FrameDecoder::Event FrameDecoder::fault(CloseCode code) {
    failed_ = true;
    Event out;
    out.kind = Kind::fault;
    out.fault = code;
    return out;
}

// True when the header is complete; otherwise `out` is need_more or a fault.
bool FrameDecoder::parse_header(std::span<char>& data, Event& out) {
    for (;;) {
        std::size_t need = 2;
        if (header_have_ >= 2) {
            const unsigned length = header_[1] & 0x7F;
            need = 6 + (length == 126 ? 2u : length == 127 ? 8u : 0u);
        }
        if (header_have_ == need && need > 2) break;
        const auto take = std::min<std::size_t>(need - header_have_, data.size());
        std::memcpy(header_ + header_have_, data.data(), take);
        header_have_ = static_cast<std::uint8_t>(header_have_ + take);
        data = data.subspan(take);
        if (header_have_ < need) return false;
        if (need > 2) break;

        fin_ = (header_[0] & 0x80) != 0;
        opcode_ = header_[0] & 0x0F;
        const bool rsv1 = (header_[0] & 0x40) != 0;
        const unsigned length = header_[1] & 0x7F;
        const bool known = opcode_ <= 2 || (opcode_ >= kClose && opcode_ <= kPong);
        const bool first_of_message = opcode_ == kText || opcode_ == 2;
        bool bad = (header_[0] & 0x30) != 0 || !known || (header_[1] & 0x80) == 0;
        bad = bad || (rsv1 && !(deflate_ && first_of_message));
        bad = bad || (is_control(opcode_) && (!fin_ || length > kMaxControlBytes));
        bad = bad || (opcode_ == kContinuation && !in_message_) || (first_of_message && in_message_);
        if (bad) {
            out = fault(CloseCode::protocol_error);
            return false;
        }
        if (opcode_ == 2) {
            out = fault(CloseCode::unsupported);
            return false;
        }
        if (first_of_message) compressed_ = rsv1;
    }
    const unsigned length = header_[1] & 0x7F;
    std::size_t at = 2;
    size_ = length;
    if (length >= 126) {
        const int bytes = length == 126 ? 2 : 8;
        size_ = 0;
        for (int i = 0; i < bytes; ++i)
            size_ = size_ << 8 | header_[at++];
        const bool minimal = length == 126 ? size_ >= 126 : size_ >= 65536;
        if (!minimal || size_ >> 63) {
            out = fault(CloseCode::protocol_error);
            return false;
        }
    }
    std::memcpy(mask_, header_ + at, 4);
    if (!is_control(opcode_)) {
        if (size_ > max_message_ || partial_.size() + size_ > max_message_) {
            out = fault(CloseCode::too_big);
            return false;
        }
        if (++fragments_ > kMaxFragments) {
            out = fault(CloseCode::too_big);
            return false;
        }
    }
    in_payload_ = true;
    have_ = 0;
    return true;
}

FrameDecoder::Event FrameDecoder::next(std::span<char>& data) {
    Event out;
    if (failed_) {  // told once; what follows is not looked at
        data = data.last(0);
        return out;
    }
    done_ = {};  // of the event before: an idle connection holds nothing
    inflated_ = {};
    while (true) {
        if (!in_payload_) {
            if (data.empty() && header_have_ == 0) return out;
            if (!parse_header(data, out)) return out;
        }
        const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(size_ - have_, data.size()));
        unmask(data.data(), take, mask_, have_);
        const std::string_view bytes(data.data(), take);
        data = data.subspan(take);
        const bool whole = have_ == 0 && take == size_;
        have_ += take;

        if (is_control(opcode_)) {
            if (!whole) control_ += bytes;
            if (have_ < size_) return out;
            in_payload_ = false;
            header_have_ = 0;
            if (!whole) {
                done_ = std::move(control_);
                control_.clear();
                return finish_frame(done_);
            }
            return finish_frame(bytes);
        }
        if (whole && fin_ && !in_message_) {  // the common case: one frame, in one piece, nothing copied
            in_payload_ = false;
            header_have_ = 0;
            fragments_ = 0;
            return finish_message(bytes);
        }
        partial_ += bytes;
        if (have_ < size_) return out;
        in_payload_ = false;
        header_have_ = 0;
        in_message_ = !fin_;
        if (!fin_) continue;
        fragments_ = 0;
        done_ = std::move(partial_);
        partial_ = std::string();
        return finish_message(done_);
    }
}

FrameDecoder::Event FrameDecoder::finish_frame(std::string_view payload) {
    Event out;
    out.payload = payload;
    if (opcode_ == kPing) {
        out.kind = Kind::ping;
    } else if (opcode_ == kPong) {
        out.kind = Kind::pong;
    } else {
        if (payload.size() == 1) return fault(CloseCode::protocol_error);
        if (payload.size() >= 2) {
            const unsigned code = static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8 |
                                  static_cast<unsigned char>(payload[1]);
            if (!is_close_code(code)) return fault(CloseCode::protocol_error);
            if (!base::is_utf8(payload.substr(2))) return fault(CloseCode::bad_data);
        }
        out.kind = Kind::close;
    }
    return out;
}

FrameDecoder::Event FrameDecoder::finish_message(std::string_view message) {
    if (compressed_) {
        auto inflated = inflate_message(message, max_message_);
        if (inflated.state == Inflated::State::too_big) return fault(CloseCode::too_big);
        if (inflated.state == Inflated::State::corrupt) return fault(CloseCode::bad_data);
        inflated_ = std::move(inflated.text);
        message = inflated_;
        compressed_ = false;
    }
    if (!base::is_utf8(message)) return fault(CloseCode::bad_data);
    Event out;
    out.kind = Kind::text;
    out.payload = message;
    return out;
}

}  // namespace supd::ws
