// Bytes as text. Any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace supd::base {

/// Lower-case hexadecimal.
std::string hex(std::span<const std::byte> bytes);

}  // namespace supd::base
