// permessage-deflate (RFC 7692) without context takeover in either direction: no state between messages, so
// one zlib stream per thread serves all connections and an idle connection holds none.
#pragma once

#include <string>
#include <string_view>

namespace supd::ws {

/// One message as the payload of a compressed frame (the trailing 00 00 FF FF removed). Any thread.
std::string deflate_message(std::string_view plain);

struct Inflated {
    enum class State { ok, corrupt, too_big };
    State state = State::ok;
    std::string text;
};
/// The inverse. Growing beyond `max` bytes is found while inflating.
Inflated inflate_message(std::string_view payload, std::size_t max);

}  // namespace supd::ws
