#include "migration_files.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

namespace supd::db {
namespace {

constexpr std::size_t kNumberDigits = 4;

struct ParsedName {
    std::int64_t version = 0;
    std::string name;
    bool up = false;
};

std::optional<ParsedName> parse_name(std::string_view file) {
    ParsedName parsed;
    std::string_view stem = file;
    if (stem.ends_with(".up.sql")) {
        parsed.up = true;
        stem.remove_suffix(7);
    } else if (stem.ends_with(".down.sql")) {
        stem.remove_suffix(9);
    } else {
        return std::nullopt;
    }
    if (stem.size() < kNumberDigits + 2 || stem[kNumberDigits] != '_') return std::nullopt;
    const auto number = std::from_chars(stem.data(), stem.data() + kNumberDigits, parsed.version);
    if (number.ec != std::errc{} || number.ptr != stem.data() + kNumberDigits || parsed.version < 1)
        return std::nullopt;
    parsed.name = stem.substr(kNumberDigits + 1);
    const bool clean = std::ranges::all_of(
        parsed.name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
    return clean ? std::optional(parsed) : std::nullopt;
}

struct Directives {
    std::optional<std::int64_t> compat;
    bool no_transaction = false;
    std::string fault;
};

// Only the comment lines at the head count.
Directives read_directives(const std::string& text) {
    Directives found;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("--")) break;
        if (line.starts_with("-- compat:")) {
            std::int64_t value = 0;
            std::istringstream number(line.substr(10));
            std::string rest;
            if (!(number >> value) || number >> rest || value < 1) {
                found.fault = "\"" + line + "\" is not -- compat: N";
            } else {
                found.compat = value;
            }
        } else if (line == "-- no-transaction") {
            found.no_transaction = true;
        }
    }
    return found;
}

struct Pair {
    std::vector<ParsedName> ups, downs;
    Migration migration;
};

void read_file(const MigrationFile& file, std::map<std::int64_t, Pair>& pairs,
               std::vector<std::string>& faults) {
    const auto parsed = parse_name(file.name);
    if (!parsed) {
        faults.push_back(file.name + ": not named NNNN_lower_case_name.up.sql or .down.sql");
        return;
    }
    Pair& pair = pairs[parsed->version];
    auto& same = parsed->up ? pair.ups : pair.downs;
    same.push_back(*parsed);
    if (same.size() > 1) {
        faults.push_back(file.name + ": the number is taken by " + same.front().name);
        return;
    }
    const Directives directives = read_directives(file.text);
    if (!directives.fault.empty()) faults.push_back(file.name + ": " + directives.fault);
    Migration& migration = pair.migration;
    migration.version = parsed->version;
    if (parsed->up) {
        migration.name = parsed->name;
        migration.up = file.text;
        migration.up_in_transaction = !directives.no_transaction;
        migration.compat = directives.compat.value_or(0);
        if (!directives.compat && directives.fault.empty()) {
            faults.push_back(file.name + ": the head has no line -- compat: N");
        } else if (migration.compat > migration.version) {
            faults.push_back(file.name + ": compat is above its own number");
        }
    } else {
        migration.down = file.text;
        migration.down_in_transaction = !directives.no_transaction;
    }
}

}  // namespace

std::vector<Migration> parse_migrations(const std::vector<MigrationFile>& files) {
    std::map<std::int64_t, Pair> pairs;
    std::vector<std::string> faults;
    for (const auto& file : files)
        read_file(file, pairs, faults);
    std::vector<Migration> result;
    std::int64_t expected = 1;
    for (auto& [version, pair] : pairs) {
        const std::string label = std::to_string(version);
        if (pair.ups.empty()) faults.push_back("migration " + label + " has no .up.sql");
        if (pair.downs.empty()) faults.push_back("migration " + label + " has no .down.sql");
        if (!pair.ups.empty() && !pair.downs.empty() && pair.ups.front().name != pair.downs.front().name) {
            faults.push_back("migration " + label + ": up and down have different names");
        }
        if (version != expected) {
            faults.push_back("migration " + std::to_string(expected) + " is missing before " + label);
        }
        expected = version + 1;
        result.push_back(std::move(pair.migration));
    }
    if (!faults.empty()) {
        std::string text = "the migration files are wrong:";
        for (const auto& fault : faults)
            text += "\n  " + fault;
        throw MigrationFileError(text);
    }
    return result;
}

std::vector<Migration> embedded_migrations() {
    return parse_migrations(embedded_migration_files());
}

std::vector<Migration> migrations_in(const std::filesystem::path& folder) {
    std::vector<MigrationFile> files;
    std::error_code ec;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ec)) {
        if (entry.path().extension() != ".sql") continue;
        std::ifstream file(entry.path(), std::ios::binary);
        std::ostringstream text;
        text << file.rdbuf();
        if (!file) throw MigrationFileError("cannot read " + entry.path().string());
        files.push_back({entry.path().filename(), text.str()});
    }
    if (ec) throw MigrationFileError("cannot read the folder " + folder.string() + ": " + ec.message());
    std::ranges::sort(files, {}, &MigrationFile::name);
    return parse_migrations(files);
}

}  // namespace supd::db
