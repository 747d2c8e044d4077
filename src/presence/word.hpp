// What somebody says of themselves, and its form in a lease.
#pragma once

#include <supd/base/clock.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace supd::presence {

enum class Status { online, away, offline };

std::string_view name_of(Status status) noexcept;
std::optional<Status> status_named(std::string_view name) noexcept;

/// What one process says of somebody who is connected to it.
struct Word {
    Status status = Status::online;
    std::string text;
    base::Millis said_at = 0;  ///< by the wall clock of whom it was said to; 0 = they never said it
    bool operator==(const Word&) const = default;
};

/// Which of two words counts, for every process alike, whoever passed them on and in whichever order they
/// came: what was said later, what was said before what was not, and of the same millisecond what hides more.
bool newer(const Word& one, const Word& other) noexcept;

/// "online 0" or "away 1700000000123 out to lunch".
std::string value_of(const Word& word);
std::optional<Word> word_in(std::string_view value);

}  // namespace supd::presence
