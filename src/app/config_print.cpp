#include "config_keys.hpp"

#include <array>
#include <charconv>
#include <sstream>

namespace supd::app {
namespace {

constexpr const char* kRedacted = "\"***\"";

std::string toml_text(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += std::string("\\") + c;
        } else if (byte < 0x20 || byte == 0x7F) {
            constexpr std::string_view kDigits = "0123456789ABCDEF";
            result += std::string("\\u00") + kDigits[byte >> 4U] + kDigits[byte & 15U];
        } else {
            result += c;
        }
    }
    return result + "\"";
}

struct ToToml {
    Config& config;

    std::string operator()(const TextPlace& place) const { return toml_text(place.at(config)); }
    std::string operator()(const ChoicePlace& place) const { return toml_text(place.at(config)); }
    std::string operator()(const SecretPlace& place) const {
        return place.at(config).empty() ? "\"\"" : kRedacted;
    }
    std::string operator()(const NumberPlace& place) const { return std::to_string(place.at(config)); }
    std::string operator()(const RatioPlace& place) const {
        std::array<char, 32> text{};  // the shortest that reads back the same
        const auto end = std::to_chars(text.begin(), text.end(), place.at(config)).ptr;
        return {text.begin(), end};
    }
    std::string operator()(const FlagPlace& place) const { return place.at(config) ? "true" : "false"; }
    std::string operator()(const ListPlace& place) const {
        std::string result;
        for (const auto& text : place.at(config))
            result += (result.empty() ? "" : ", ") + toml_text(text);
        return "[" + result + "]";
    }
    std::string operator()(const SecretListPlace& place) const {
        std::string result;
        for (std::size_t i = 0; i < place.at(config).size(); ++i)
            result += std::string(i == 0 ? "" : ", ") + kRedacted;
        return "[" + result + "]";
    }
};

// One line a key, a header a section, in the order of the table.
template <class Line>
std::string by_section(Line line) {
    std::string result;
    std::string_view section;
    for (const auto& key : config_keys()) {
        if (key.section != section) {
            section = key.section;
            result +=
                std::string(line.gap()) + "[" + std::string(section) + "]" + line.header(section) + "\n";
        }
        result += line.key(key);
    }
    return result;
}

struct PrintLine {
    const LoadedConfig& loaded;
    Config config;

    static const char* gap() { return "\n"; }
    std::string header(std::string_view) const { return ""; }
    std::string key(const Key& key) {
        return std::string(key.name) + " = " + std::visit(ToToml{config}, key.place) + "  # " +
               loaded.origins.at(key.full()) + "\n";
    }
};

struct ExampleLine {
    Config config;

    static const char* gap() { return ""; }
    std::string header(std::string_view section) const {
        return "  # " + std::string(section_about(section));
    }
    std::string key(const Key& key) {
        std::string result;
        std::istringstream about{std::string(key.about)};
        for (std::string text; std::getline(about, text);)
            result += "# " + text + "\n";
        result += "# Environment: " + key.env();
        if (!key.flat_env.empty()) result += " or " + std::string(key.flat_env);
        if (key.secret()) result += "; with _FILE added: a file that holds it";
        if (const auto* number = std::get_if<NumberPlace>(&key.place)) {
            result += "; from " + std::to_string(number->min) + " to " + std::to_string(number->max);
        }
        if (std::holds_alternative<RatioPlace>(key.place)) result += "; from 0 to 1";
        return result + "\n#" + std::string(key.name) + " = " + std::visit(ToToml{config}, key.place) +
               "\n\n";
    }
};

}  // namespace

std::string print_config(const LoadedConfig& loaded) {
    return by_section(PrintLine{loaded, loaded.config});
}

std::string example_config() {
    Config defaults;
    defaults.mode = "development";
    return "# supd: every configuration key with its default. Nothing here is needed to start; remove the # "
           "of what you\n"
           "# change. Check the result with `supd config check`, see what is in force with `supd config "
           "print`.\n"
           "# This file is written by `supd config example`; lists in the environment are separated by "
           "commas.\n\n" +
           by_section(ExampleLine{defaults});
}

}  // namespace supd::app
