#include "config_keys.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace supd::app {
namespace {

constexpr std::string_view kPrefix = "SUPD__";
constexpr std::string_view kFileSuffix = "_FILE";
constexpr std::size_t kMaxSecretFile = 64 * 1024;

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return result;
}

// SUPD__SERVER__PORT -> server.port
std::string key_of_env(std::string_view variable) {
    std::string key = lower(variable.substr(kPrefix.size()));
    if (const auto at = key.find("__"); at != std::string::npos) key.replace(at, 2, ".");
    return key;
}

std::string unknown(std::string_view what, const std::string& full, bool as_env) {
    const Key& nearest = nearest_key(full);
    return std::string(what) + ": unknown key; did you mean " + (as_env ? nearest.env() : nearest.full()) +
           "?";
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::string part;
    std::istringstream stream(text);
    const auto add = [&](std::string_view piece) {
        const auto from = piece.find_first_not_of(" \t\r");
        if (from == std::string_view::npos) return;
        parts.emplace_back(piece.substr(from, piece.find_last_not_of(" \t\r") - from + 1));
    };
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i == text.size() || text[i] == ',' || text[i] == '\n') {
            add(std::string_view(text).substr(begin, i - begin));
            begin = i + 1;
        }
    }
    return parts;
}

std::optional<std::string> as_text(const RawValue& value) {
    const auto* text = std::get_if<std::string>(&value);
    return text != nullptr ? std::optional(*text) : std::nullopt;
}

std::optional<std::int64_t> as_number(const RawEntry& entry) {
    if (const auto* number = std::get_if<std::int64_t>(&entry.value)) return *number;
    if (!entry.from_text) return std::nullopt;
    const auto& text = std::get<std::string>(entry.value);
    std::int64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<double> as_ratio(const RawEntry& entry) {
    double ratio = -1;
    if (const auto* whole = std::get_if<std::int64_t>(&entry.value)) ratio = static_cast<double>(*whole);
    if (const auto* number = std::get_if<double>(&entry.value)) ratio = *number;
    if (const auto* text = std::get_if<std::string>(&entry.value); text && entry.from_text) {
        const auto parsed = std::from_chars(text->data(), text->data() + text->size(), ratio);
        if (parsed.ec != std::errc{} || parsed.ptr != text->data() + text->size()) return std::nullopt;
    }
    return ratio >= 0 && ratio <= 1 ? std::optional(ratio) : std::nullopt;
}

std::optional<bool> as_flag(const RawEntry& entry) {
    if (const auto* flag = std::get_if<bool>(&entry.value)) return *flag;
    if (!entry.from_text) return std::nullopt;
    const std::string text = lower(std::get<std::string>(entry.value));
    if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
    if (text == "false" || text == "0" || text == "no" || text == "off") return false;
    return std::nullopt;
}

std::optional<std::vector<std::string>> as_list(const RawEntry& entry) {
    if (const auto* list = std::get_if<std::vector<std::string>>(&entry.value)) return *list;
    if (!entry.from_text) return std::nullopt;
    return split(std::get<std::string>(entry.value));
}

// The content of the file that NAME_FILE names, as if NAME had been set to it.
std::optional<std::string> read_secret_file(const std::string& variable, const std::string& path,
                                            std::vector<std::string>& faults) {
    std::ifstream file(path, std::ios::binary);
    std::string text(kMaxSecretFile, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file.eof() || file.bad()) {
        faults.push_back(variable + ": cannot read " + path);
        return std::nullopt;
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    if (text.empty()) {
        faults.push_back(variable + ": " + path + " is empty");
        return std::nullopt;
    }
    return text;
}

using Environment = std::map<std::string, std::string>;

std::optional<std::string> variable(const Environment& environment, const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
}

void read_variable(const Environment& environment, const Key& key, const std::string& name,
                   std::vector<RawEntry>& entries, std::vector<std::string>& faults) {
    const auto direct = variable(environment, name);
    if (direct) entries.push_back({key.full(), *direct, name, true});
    if (!key.secret()) return;
    const std::string file_name = name + std::string(kFileSuffix);
    const auto path = variable(environment, file_name);
    if (!path) return;
    if (direct) {
        faults.push_back(name + " and " + file_name + " are both set");
    } else if (auto text = read_secret_file(file_name, *path, faults)) {
        entries.push_back({key.full(), std::move(*text), file_name, true});
    }
}

void read_environment(const Environment& environment, std::vector<RawEntry>& entries,
                      std::vector<std::string>& faults) {
    for (const auto& key : config_keys()) {
        if (!key.flat_env.empty())
            read_variable(environment, key, std::string(key.flat_env), entries, faults);
        read_variable(environment, key, key.env(), entries, faults);
    }
    for (const auto& [name, value] : environment) {
        if (!name.starts_with(kPrefix)) continue;
        const std::string full = key_of_env(name);
        if (find_key(full) != nullptr) continue;
        if (name.ends_with(kFileSuffix)) {
            const Key* base =
                find_key(key_of_env(std::string_view(name).substr(0, name.size() - kFileSuffix.size())));
            if (base != nullptr && base->secret()) continue;
        }
        faults.push_back(unknown(name, full, true));
    }
}

}  // namespace

ConfigError::ConfigError(std::vector<std::string> faults)
    : std::runtime_error([&] {
          std::string text = "the configuration is wrong:";
          for (const auto& fault : faults)
              text += "\n  " + fault;
          return text;
      }()),
      faults_(std::move(faults)) {}

std::string assign(Config& config, const Key& key, const RawEntry& entry) {
    return std::visit(Overloaded{
                          [&](const TextPlace& place) -> std::string {
                              const auto text = as_text(entry.value);
                              if (!text) return "must be text";
                              place.at(config) = *text;
                              return "";
                          },
                          [&](const ChoicePlace& place) -> std::string {
                              const auto text = as_text(entry.value);
                              if (text && std::ranges::find(place.choices, *text) != place.choices.end()) {
                                  place.at(config) = *text;
                                  return "";
                              }
                              std::string fault = "must be one of";
                              for (const auto choice : place.choices)
                                  fault += " " + std::string(choice);
                              return fault;
                          },
                          [&](const SecretPlace& place) -> std::string {
                              const auto text = as_text(entry.value);
                              if (!text) return "must be text";
                              place.at(config) = base::Secret(*text);
                              return "";
                          },
                          [&](const NumberPlace& place) -> std::string {
                              const auto number = as_number(entry);
                              if (number && *number >= place.min && *number <= place.max) {
                                  place.at(config) = *number;
                                  return "";
                              }
                              return "must be a whole number from " + std::to_string(place.min) + " to " +
                                     std::to_string(place.max);
                          },
                          [&](const RatioPlace& place) -> std::string {
                              const auto ratio = as_ratio(entry);
                              if (!ratio) return "must be a number from 0 to 1";
                              place.at(config) = *ratio;
                              return "";
                          },
                          [&](const FlagPlace& place) -> std::string {
                              const auto flag = as_flag(entry);
                              if (!flag) return "must be true or false";
                              place.at(config) = *flag;
                              return "";
                          },
                          [&](const ListPlace& place) -> std::string {
                              const auto list = as_list(entry);
                              if (!list) return "must be a list of texts";
                              place.at(config) = *list;
                              return "";
                          },
                          [&](const SecretListPlace& place) -> std::string {
                              const auto list = as_list(entry);
                              if (!list) return "must be a list of texts";
                              place.at(config).clear();
                              for (const auto& text : *list)
                                  place.at(config).emplace_back(text);
                              return "";
                          },
                      },
                      key.place);
}

LoadedConfig load_config(const ConfigSources& sources) {
    std::vector<std::string> faults;
    std::vector<RawEntry> entries;
    if (sources.file) entries = read_toml(*sources.file, faults);
    read_environment(sources.environment, entries, faults);
    for (const auto& [key, text] : sources.flags)
        entries.push_back({key, text, "command line", true});

    LoadedConfig loaded;
    for (const auto& key : config_keys())
        loaded.origins[key.full()] = "default";
    for (const auto& entry : entries) {
        const Key* key = find_key(entry.key);
        if (key == nullptr) {
            faults.push_back(unknown(entry.origin + ": " + entry.key, entry.key, false));
            continue;
        }
        const std::string fault = assign(loaded.config, *key, entry);
        const std::string place =
            entry.origin == key->env() ? entry.origin : entry.origin + ": " + key->full();
        if (!fault.empty()) faults.emplace_back(place).append(" ").append(fault);
        loaded.origins[key->full()] = entry.origin;
    }
    if (loaded.config.mode.empty()) {
        loaded.config.mode = loaded.config.embedded_database() ? "development" : "production";
        loaded.origins["mode"] = loaded.config.embedded_database() ? "default of the embedded database"
                                                                   : "default with database.url";
    }
    check_config(loaded.config, faults);
    if (!faults.empty()) throw ConfigError(std::move(faults));
    return loaded;
}

std::map<std::string, std::string> process_environment() {
    std::map<std::string, std::string> result;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const auto at = text.find('=');
        if (at != std::string_view::npos) result.emplace(text.substr(0, at), text.substr(at + 1));
    }
    return result;
}

}  // namespace supd::app
