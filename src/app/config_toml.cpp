// Reads a TOML file into raw entries; the only file that knows toml++.

#include "config_keys.hpp"

#include <toml++/toml.h>

namespace supd::app {
namespace {

std::string origin_of(const std::string& file, const toml::node& node) {
    return file + " line " + std::to_string(node.source().begin.line);
}

std::optional<RawValue> value_of(const toml::node& node) {
    if (const auto* text = node.as_string()) return RawValue(text->get());
    if (const auto* number = node.as_integer()) return RawValue(number->get());
    if (const auto* number = node.as_floating_point()) return RawValue(number->get());
    if (const auto* flag = node.as_boolean()) return RawValue(flag->get());
    if (const auto* array = node.as_array()) {
        std::vector<std::string> texts;
        for (const auto& element : *array) {
            const auto* text = element.as_string();
            if (text == nullptr) return std::nullopt;
            texts.push_back(text->get());
        }
        return RawValue(texts);
    }
    return std::nullopt;
}

void walk(const toml::table& table, const std::string& prefix, const std::string& file,
          std::vector<RawEntry>& entries, std::vector<std::string>& faults) {
    for (const auto& [key, node] : table) {
        const std::string full = prefix + std::string(key.str());
        if (const auto* inner = node.as_table()) {
            walk(*inner, full + ".", file, entries, faults);
        } else if (auto value = value_of(node)) {
            entries.push_back({full, std::move(*value), origin_of(file, node), false});
        } else {
            faults.push_back(origin_of(file, node) + ": " + full +
                             " is neither text, number, boolean nor list of texts");
        }
    }
}

}  // namespace

std::vector<RawEntry> read_toml(const std::filesystem::path& path, std::vector<std::string>& faults) {
    std::vector<RawEntry> entries;
    std::error_code ec;
    if (!std::filesystem::is_regular_file(path, ec)) {
        faults.push_back("there is no file " + path.string());
        return entries;
    }
    try {
        walk(toml::parse_file(path.string()), "", path.filename().string(), entries, faults);
    } catch (const toml::parse_error& error) {
        faults.push_back(path.filename().string() + " line " + std::to_string(error.source().begin.line) +
                         ": " + std::string(error.description()));
    }
    return entries;
}

}  // namespace supd::app
