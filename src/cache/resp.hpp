// RESP2 on the wire: commands into bytes, bytes into replies. hiredis does both; nothing else of it is used.
#pragma once

#include <supd/cache/reply.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct redisReader;

namespace supd::cache {

/// What one reply may hold at most, lists within lists counted; more is a fault of the protocol.
inline constexpr std::size_t kMaxItems = 1 << 18;
inline constexpr std::size_t kMaxReplyBytes = 64 << 20;

void append_command(std::string& out, const Words& words);

struct ProtocolFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Not thread-safe.
class Parser {
public:
    Parser();
    void feed(std::string_view bytes);
    /// The next whole reply. Throws ProtocolFault; the parser is of no more use then.
    std::optional<Reply> next();

private:
    struct Free {
        void operator()(redisReader* reader) const noexcept;
    };
    std::unique_ptr<std::size_t> items_;  // of the reply that is being read; the reader points at it
    std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace supd::cache
