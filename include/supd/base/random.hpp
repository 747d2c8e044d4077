// Randomness that nobody can guess: getrandom(2), fetched in bulk per thread. Any thread; never fails (the
// process ends when the kernel has none).
#pragma once

#include <cstddef>
#include <cstdint>

namespace supd::base {

/// At most kRandomAtOnce bytes.
void random_bytes(std::uint8_t* out, std::size_t size);
inline constexpr std::size_t kRandomAtOnce = 256;

}  // namespace supd::base
