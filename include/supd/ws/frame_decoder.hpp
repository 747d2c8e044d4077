// Client frames out of a byte stream (RFC 6455 section 5; RFC 7692 for RSV1). Strict: what the RFC forbids
// ends the connection with the right close code. Sizes are checked before anything is allocated. Keeps memory
// only while a message is incomplete. Not thread-safe.
#pragma once

#include <supd/ws/hub.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace supd::ws {

inline constexpr std::size_t kMaxMessageBytes = 256 * 1024;
/// Who has not said who it is has a token and a cursor to say, and is not worth more work.
inline constexpr std::size_t kMaxFirstMessage = 16 * 1024;
inline constexpr int kMaxFragments = 100;
inline constexpr std::size_t kMaxControlBytes = 125;

class FrameDecoder {
public:
    enum class Kind { need_more, text, ping, pong, close, fault };
    struct Event {
        Kind kind = Kind::need_more;
        std::string_view payload;  ///< valid until the next call
        CloseCode fault = CloseCode::protocol_error;
    };

    explicit FrameDecoder(bool deflate = false) : deflate_(deflate) {}

    /// Messages larger than this, also after inflating, are 1009; at most kMaxMessageBytes.
    void limit_messages(std::size_t bytes) noexcept { max_message_ = bytes; }

    /// Takes bytes from the front of `data`, unmasking them in place, until an event is complete or data is
    /// empty.
    Event next(std::span<char>& data);

    /// After a fault: nothing more is read.
    bool failed() const noexcept { return failed_; }

private:
    Event fault(CloseCode code);
    bool parse_header(std::span<char>& data, Event& out);
    Event finish_frame(std::string_view payload);
    Event finish_message(std::string_view message);

    bool deflate_;
    bool failed_ = false;
    std::size_t max_message_ = kMaxMessageBytes;

    // The header of the current frame, gathered byte by byte when it arrives in parts.
    unsigned char header_[14] = {};
    std::uint8_t header_have_ = 0;
    bool in_payload_ = false;
    bool fin_ = false;
    std::uint8_t opcode_ = 0;
    unsigned char mask_[4] = {};
    std::uint64_t size_ = 0;
    std::uint64_t have_ = 0;

    std::string partial_;  // payload of an incomplete frame, or the fragments of a message so far
    std::string control_;  // payload of an incomplete control frame between fragments
    std::string inflated_;
    bool in_message_ = false;
    bool compressed_ = false;
    int fragments_ = 0;
    std::string done_;  // a finished message that was gathered in partial_
};

}  // namespace supd::ws
