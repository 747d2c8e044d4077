// Every limit of the HTTP side, with the answer a client gets for passing it. Own numbers throughout: no
// library default is trusted.
#pragma once

#include <chrono>
#include <cstddef>

namespace supd::http {

inline constexpr std::size_t kMaxHeaderBytes = 16 * 1024;  ///< request line and header fields: 431
inline constexpr std::size_t kMaxHeaderFields = 100;       ///< 431
inline constexpr std::size_t kMaxTargetBytes = 8 * 1024;   ///< 414
inline constexpr std::size_t kMaxQueryValues = 64;         ///< 400
inline constexpr std::size_t kMaxChunkLine = 256;          ///< chunk size with extensions: 400
inline constexpr std::size_t kMaxTrailerBytes = 4 * 1024;  ///< 400
inline constexpr std::size_t kMaxRequestId = 128;          ///< longer ones are replaced, not refused
inline constexpr std::size_t kMaxIdempotencyKey = 255;     ///< 400
inline constexpr std::size_t kMaxKeptAnswer =
    16 * 1024;  ///< a larger one is not kept for its Idempotency-Key
/// A page of a list ends with the entry that takes it to this: it is held while its client reads.
inline constexpr std::size_t kPageBytes = 1 << 20;
inline constexpr std::size_t kMaxRequestsPerConnection = 10'000;  ///< then Connection: close
inline constexpr std::size_t kMaxForwardedHops = 32;  ///< entries of X-Forwarded-For that are looked at

inline constexpr std::chrono::seconds kHeaderDeadline{10};  ///< first byte (or accept) to end of header: 408
inline constexpr std::chrono::seconds kBodyGrace{10};     ///< body: this, plus its size at kMinBodyRate: 408
inline constexpr std::size_t kMinBodyRate = 16 * 1024;    ///< bytes per second
inline constexpr std::chrono::seconds kIdleDeadline{75};  ///< keep-alive without a request: closed
inline constexpr std::chrono::seconds kRequestDeadline{30};  ///< handler: the connection is closed
inline constexpr std::chrono::seconds kWriteDeadline{30};    ///< to take the answer
inline constexpr std::chrono::seconds kLinger{2};            ///< for the client to read our last words

}  // namespace supd::http
