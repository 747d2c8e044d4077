#include "cli.hpp"
#include "commands.hpp"
#include "database_access.hpp"

#include <supd/db/migrator.hpp>

#include <nlohmann/json.hpp>

#include <iostream>

namespace supd::app {
namespace {

std::vector<db::Migration> chosen(const MigrateOptions& options) {
    return options.folder ? db::migrations_in(*options.folder) : db::embedded_migrations();
}

int print_steps(const std::vector<std::int64_t>& versions, const char* done, const char* nothing) {
    for (const auto version : versions)
        std::cout << done << " " << version << "\n";
    if (versions.empty()) std::cout << nothing << "\n";
    return kExitOk;
}

}  // namespace

int migrate_up(const Config& config, const MigrateOptions& options) {
    auto migrations = chosen(options);
    const auto access = DatabaseAccess::for_command(config);
    db::Migrator migrator(access.url(), std::move(migrations));
    return print_steps(migrator.up(options.to), "applied", "nothing to apply");
}

int migrate_down(const Config& config, const MigrateOptions& options) {
    auto migrations = chosen(options);
    const auto access = DatabaseAccess::for_command(config);
    db::Migrator migrator(access.url(), std::move(migrations));
    return print_steps(migrator.down(options.to), "took back", "nothing to take back");
}

int migrate_status(const Config& config, const MigrateOptions& options) {
    auto migrations = chosen(options);
    const auto access = DatabaseAccess::for_command(config);
    db::Migrator migrator(access.url(), std::move(migrations));
    const auto rows = migrator.status();
    if (options.json) {
        auto list = nlohmann::json::array();
        for (const auto& row : rows) {
            nlohmann::json item{{"version", row.version},
                                {"name", row.name},
                                {"state", to_text(row.state)},
                                {"compat", row.compat},
                                {"applied_at", nullptr}};
            if (!row.applied_at.empty()) item["applied_at"] = row.applied_at;
            list.push_back(std::move(item));
        }
        std::cout
            << nlohmann::json{{"newest_known", migrator.newest()}, {"migrations", std::move(list)}}.dump(2)
            << "\n";
        return kExitOk;
    }
    for (const auto& row : rows) {
        std::cout << row.version << "\t" << to_text(row.state) << "\t" << row.name << "\t" << row.applied_at
                  << "\n";
    }
    return kExitOk;
}

}  // namespace supd::app
