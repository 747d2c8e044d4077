// One server message, framed once (RFC 6455 section 5.2, text, unmasked) and shared by every socket that gets
// it. Immutable after construction but for the compressed form, which is made on first use (RFC 7692, no
// context takeover, so that one compression serves all). Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace supd::ws {

/// Payloads below this are never compressed: the header would cost more than is won.
inline constexpr std::size_t kCompressFrom = 1024;

inline constexpr unsigned char kCloseOpcode = 8, kPingOpcode = 9, kPongOpcode = 10;

class Frame {
public:
    /// `json` is the whole message, valid UTF-8.
    explicit Frame(std::string_view json);
    /// Bytes that are a frame already: control frames.
    static std::shared_ptr<const Frame> raw(std::string wire);
    /// Section 5.5; at most 125 bytes of payload.
    static std::shared_ptr<const Frame> control(unsigned char opcode, std::string_view payload);
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

    std::string_view wire(bool compressed) const;
    std::string_view json() const noexcept { return std::string_view(wire_).substr(header_); }

private:
    Frame() = default;

    std::string wire_;
    std::size_t header_ = 0;
    mutable std::once_flag deflate_once_;
    mutable std::string deflated_;
};

using FramePtr = std::shared_ptr<const Frame>;

inline FramePtr make_frame(std::string_view json) {
    return std::make_shared<const Frame>(json);
}

}  // namespace supd::ws
