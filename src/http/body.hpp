// The body of one request, decoded by Beast's parser as the bytes arrive. Beast reads the head a second time:
// what it refuses is refused, too.
#pragma once

#include "head.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace supd::http {

class BodyReader {
public:
    /// `head_bytes`: as given to parse_head. The body may be `limit` bytes.
    BodyReader(std::string_view head_bytes, const Head& head, std::uint64_t limit);
    ~BodyReader();

    enum class State { more, done, refused };
    /// Takes what it can from the front of `bytes`; `used` is how much. more: call again with the rest and
    /// later bytes.
    State feed(std::string_view bytes, std::size_t& used);
    const Fault& fault() const noexcept { return fault_; }
    std::string take();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    Fault fault_;
};

}  // namespace supd::http
