// Fan-out servers that do nothing but the fan-out: no database, no rights, no bounds. They speak enough of
// the protocol for the group benchmark's client, and so set the limit the daemon is compared with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

// Binds 127.0.0.1, prints the port on stdout and serves until killed. One thread each.
[[noreturn]] void
serve_bare_beast();  // async_write of one message at a time per session, as Beast's examples
// All that waits for a connection in one send. With pairs, peers 2i and 2i+1 talk to each other only.
[[noreturn]] void serve_bare_epoll(bool pairs);

// What the daemon would send for the client frame `request`; throws when it is no message frame.
std::string bare_delivery(std::string_view request, std::uint64_t seq);
std::string bare_ack(std::string_view request, std::uint64_t seq);

inline constexpr std::string_view kBareChat = "0190a000-0000-7000-8000-000000000001";
inline constexpr std::string_view kBareUser = "0190a000-0000-7000-8000-000000000002";

}  // namespace bench
