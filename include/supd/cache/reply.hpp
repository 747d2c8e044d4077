// What Redis answers (RESP2), and what became of a command.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace supd::cache {

struct Reply {
    enum class Kind { nil, text, status, integer, array, error };
    Kind kind = Kind::nil;
    std::string text;  ///< of text, status and error
    std::int64_t integer = 0;
    std::vector<Reply> items;
};

enum class Failure {
    none,
    unavailable,  ///< not sent: no connection, the breaker is open, or too much is waiting
    lost,         ///< sent, but the connection ended or the deadline passed: it may have been done
    refused,      ///< Redis answered with an error
};

struct Answer {
    Failure failure = Failure::none;
    Reply reply;
    bool ok() const noexcept { return failure == Failure::none; }
};

/// A command word by word: the name, then its arguments.
using Words = std::vector<std::string>;

}  // namespace supd::cache
