#include "word.hpp"

#include <charconv>
#include <tuple>

namespace supd::presence {

std::string_view name_of(Status status) noexcept {
    switch (status) {
        case Status::online:
            return "online";
        case Status::away:
            return "away";
        case Status::offline:
            return "offline";
    }
    return "offline";
}

std::optional<Status> status_named(std::string_view name) noexcept {
    if (name == "online") return Status::online;
    if (name == "away") return Status::away;
    if (name == "offline") return Status::offline;
    return std::nullopt;
}

bool newer(const Word& one, const Word& other) noexcept {
    return std::tie(one.said_at, one.status, one.text) > std::tie(other.said_at, other.status, other.text);
}

std::string value_of(const Word& word) {
    std::string out(name_of(word.status));
    out += ' ' + std::to_string(word.said_at);
    if (!word.text.empty()) out += ' ' + word.text;
    return out;
}

std::optional<Word> word_in(std::string_view value) {
    const auto space = value.find(' ');
    const auto status = status_named(value.substr(0, space));
    if (!status || space == std::string_view::npos) return std::nullopt;
    Word out;
    out.status = *status;
    const char* const end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data() + space + 1, end, out.said_at);
    if (error != std::errc() || out.said_at < 0) return std::nullopt;
    if (rest == end) return out;
    if (*rest != ' ') return std::nullopt;
    out.text.assign(rest + 1, end);
    return out;
}

}  // namespace supd::presence
