// One row per configuration key.
#pragma once

#include "config.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace supd::app {

// Where a key lives in Config, and what it admits.
struct TextPlace {
    std::string& (*at)(Config&);
};
struct ChoicePlace {
    std::string& (*at)(Config&);
    std::vector<std::string_view> choices;
};
struct SecretPlace {
    base::Secret& (*at)(Config&);
};
struct NumberPlace {
    std::int64_t& (*at)(Config&);
    std::int64_t min;
    std::int64_t max;
};
struct RatioPlace {  // 0 to 1
    double& (*at)(Config&);
};
struct FlagPlace {
    bool& (*at)(Config&);
};
struct ListPlace {
    std::vector<std::string>& (*at)(Config&);
};
struct SecretListPlace {
    std::vector<base::Secret>& (*at)(Config&);
};
using Place = std::variant<TextPlace, ChoicePlace, SecretPlace, NumberPlace, RatioPlace, FlagPlace, ListPlace,
                           SecretListPlace>;

struct Key {
    std::string_view section;  ///< empty for the keys at the top
    std::string_view name;
    Place place;
    std::string_view flat_env;  ///< conventional name, or empty
    std::string_view about;     ///< for the example file; \n separates lines

    std::string full() const;  ///< section.name
    std::string env() const;   ///< SUPD__SECTION__NAME
    bool secret() const;
};

const std::vector<Key>& config_keys();
const Key* find_key(std::string_view full);
/// The known key with the smallest edit distance.
const Key& nearest_key(std::string_view full);

/// What a section is about, for the example file.
std::string_view section_about(std::string_view section);

// A value as it was given, before it is checked against its key.
using RawValue = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>>;

struct RawEntry {
    std::string key;
    RawValue value;
    std::string origin;
    bool from_text = false;  ///< environment or command line: numbers, flags and lists arrive as text
};

/// Puts the value in its place; a text for people when it does not fit (never quoting a secret), else empty.
std::string assign(Config& config, const Key& key, const RawEntry& entry);

/// Both hold the same under this key.
bool same_value(Config a, Config b, const Key& key);

/// The entries of a TOML file, faults appended.
std::vector<RawEntry> read_toml(const std::filesystem::path& path, std::vector<std::string>& faults);

/// What must hold between keys and in production mode; faults appended.
void check_config(const Config& config, std::vector<std::string>& faults);

/// Why a secret is not good enough for production; empty when it is.
std::string secret_weakness(std::string_view secret);

}  // namespace supd::app
