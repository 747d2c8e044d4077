#include "backup_settings.hpp"
#include "cli.hpp"
#include "commands.hpp"
#include "database_access.hpp"
#include "restore_hooks.hpp"

#include <supd/backup/backups.hpp>
#include <supd/backup/offsite.hpp>
#include <supd/db/embedded_postgres.hpp>

#include <nlohmann/json.hpp>

#include <iomanip>
#include <iostream>

namespace supd::app {
namespace fs = std::filesystem;
namespace {

backup::Settings settings_of(const LoadedConfig& loaded) {
    auto settings = backup_settings(loaded.config);
    if (!settings) {
        throw ConfigError(
            {"backup.folder and backup.key_file must be set; `supd backup key FILE` makes a key"});
    }
    settings->configuration = print_config(loaded);
    return std::move(*settings);
}

// A name without a slash is one of the folder's.
fs::path archive_of(const backup::Settings& settings, const std::string& given) {
    if (given.find('/') == std::string::npos && !fs::exists(given)) return settings.folder / given;
    return given;
}

void print_list(const std::vector<backup::Entry>& entries, bool json) {
    if (json) {
        auto list = nlohmann::json::array();
        for (const auto& entry : entries) {
            nlohmann::json item{{"file", entry.path.string()}, {"bytes", entry.bytes}};
            if (entry.fault.empty()) {
                item["kind"] = entry.head.kind;
                item["created_at"] = entry.head.created_at;
                item["schema_version"] = entry.head.schema_version;
                item["supd_version"] = entry.head.supd_version;
            } else {
                item["fault"] = entry.fault;
            }
            list.push_back(std::move(item));
        }
        std::cout << list.dump(2) << "\n";
        return;
    }
    for (const auto& entry : entries) {
        std::cout << entry.path.filename().string() << "\t" << entry.bytes << " bytes\t";
        if (entry.fault.empty())
            std::cout << entry.head.created_at << "\tschema " << entry.head.schema_version << "\tsupd "
                      << entry.head.supd_version << "\n";
        else
            std::cout << entry.fault << "\n";
    }
}

void print_pruned(const std::vector<fs::path>& gone) {
    for (const auto& path : gone)
        std::cout << "removed " << path.filename().string() << "\n";
}

std::unique_ptr<blob::Store> second_place(const Config& config) {
    auto store = offsite_store(config);
    if (!store) throw ConfigError({"backup.offsite must be set"});
    return store;
}

void push(const backup::Settings& settings, blob::Store& store) {
    const auto changes = backup::copy_offsite(settings, store);
    for (const auto& name : changes.copied)
        std::cout << "copied " << name << " off-site\n";
    for (const auto& name : changes.removed)
        std::cout << "removed " << name << " off-site\n";
}

// The embedded server of a running daemon must not be found by way of its connection string.
void refuse_beside_daemon(const Config& config) {
    if (config.embedded_database() && db::EmbeddedPostgres::find_running(config.server.data_dir))
        throw db::PostgresError("a supd serves from " + config.server.data_dir +
                                ": stop it before a restore");
}

}  // namespace

int make_backup_key(const std::string& file) {
    backup::make_key_file(file);
    std::cout << "made " << file
              << "; keep a copy of it where the backups are not: without it no backup can be read\n";
    return kExitOk;
}

int create_backup(const LoadedConfig& loaded) {
    const auto settings = settings_of(loaded);
    const auto access = DatabaseAccess::for_existing(loaded.config);
    access.make_usable();
    const auto path = backup::create(access.target(), settings, backup::kBackup);
    std::cout << path.string() << "\n";
    print_pruned(backup::prune(settings));
    if (const auto store = offsite_store(loaded.config)) push(settings, *store);
    return kExitOk;
}

int push_backups(const LoadedConfig& loaded) {
    push(settings_of(loaded), *second_place(loaded.config));
    return kExitOk;
}

int fetch_backups(const LoadedConfig& loaded, const BackupOptions& options) {
    const auto fetched =
        backup::fetch_offsite(settings_of(loaded), *second_place(loaded.config), options.file);
    for (const auto& name : fetched)
        std::cout << "fetched " << name << "\n";
    return kExitOk;
}

int list_backups(const LoadedConfig& loaded, const BackupOptions& options) {
    if (options.offsite) {
        for (const auto& object : backup::list_offsite(*second_place(loaded.config)))
            std::cout << object.key << "\t" << object.bytes << " bytes\n";
        return kExitOk;
    }
    print_list(backup::list(settings_of(loaded)), options.json);
    return kExitOk;
}

int prune_backups(const LoadedConfig& loaded) {
    print_pruned(backup::prune(settings_of(loaded)));
    return kExitOk;
}

int verify_backup(const LoadedConfig& loaded, const BackupOptions& options) {
    const auto settings = settings_of(loaded);
    const auto archive = archive_of(settings, options.file);
    backup::check_archive(archive, settings.key);
    const auto access = DatabaseAccess::for_existing(loaded.config);
    access.make_usable();
    backup::verify(archive, access.target(), settings, restore_hooks(false), std::cout);
    return kExitOk;
}

int restore_backup(const LoadedConfig& loaded, const BackupOptions& options) {
    const auto settings = settings_of(loaded);
    if (options.list) {
        print_list(backup::list(settings), options.json);
        return kExitOk;
    }
    if (options.file.empty() == !options.recovered) {
        std::cerr << "supd: name the archive to restore, or --list, or --recovered\n";
        return kExitUsage;
    }
    if (options.recovered) {
        refuse_beside_daemon(loaded.config);
        const auto access = DatabaseAccess::for_existing(loaded.config);
        backup::adopt(access.target(), settings, restore_hooks(options.end_sessions), std::cout);
        return kExitOk;
    }
    const auto archive = archive_of(settings, options.file);
    backup::RestoreOptions restore;
    restore.dry_run = options.dry_run;
    restore.safety_backup = !options.no_safety_backup;
    if (!options.into.empty()) restore.into_empty = options.into;
    const auto hooks = restore_hooks(options.end_sessions);
    // Before a server is started or looked for: what is not whole is refused with nothing touched.
    backup::check_archive(archive, settings.key);
    if (restore.into_empty) {
        backup::restore(archive, {}, settings, hooks, restore, std::cout);
        return kExitOk;
    }
    refuse_beside_daemon(loaded.config);
    const auto access = DatabaseAccess::for_command(loaded.config);
    backup::restore(archive, access.target(), settings, hooks, restore, std::cout);
    return kExitOk;
}

}  // namespace supd::app
