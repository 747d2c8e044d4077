// What the subcommands do, one function each; cli.cpp parses and calls them. They print results to stdout and
// return an exit code; what they throw, cli.cpp explains on stderr.
#pragma once

#include "config.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace supd::app {

struct MigrateOptions {
    std::optional<std::int64_t> to;
    std::optional<std::filesystem::path> folder;  ///< instead of the migrations in the binary
    bool json = false;
};
int migrate_up(const Config& config, const MigrateOptions& options);
int migrate_down(const Config& config, const MigrateOptions& options);
int migrate_status(const Config& config, const MigrateOptions& options);

struct UserOptions {
    std::string name;
    bool admin = false;
    bool password_stdin = false;  ///< the first line of stdin; else one is made and printed
    bool json = false;
};
int create_user(const Config& config, const UserOptions& options);
int list_users(const Config& config, const UserOptions& options);
int disable_user(const Config& config, const UserOptions& options);
int enable_user(const Config& config, const UserOptions& options);
int reset_password(const Config& config, const UserOptions& options);
int make_admin(const Config& config, const UserOptions& options);

struct JobsOptions {
    std::optional<std::int64_t> id;  ///< retry: none = all dead ones
    std::string state;
    int limit = 100;
    bool json = false;
};
int list_jobs(const Config& config, const JobsOptions& options);
int retry_jobs(const Config& config, const JobsOptions& options);
int drop_job(const Config& config, const JobsOptions& options);

struct BackupOptions {
    std::string file;
    bool json = false;
    bool list = false;
    bool offsite = false;
    bool dry_run = false;
    bool no_safety_backup = false;
    bool end_sessions = false;
    bool recovered = false;  ///< no archive: the database is back by PostgreSQL's own means
    std::string into;        ///< URL of an empty database; else the configured one is replaced
};
int make_backup_key(const std::string& file);
int create_backup(const LoadedConfig& loaded);
int list_backups(const LoadedConfig& loaded, const BackupOptions& options);
int push_backups(const LoadedConfig& loaded);
int fetch_backups(const LoadedConfig& loaded, const BackupOptions& options);
int prune_backups(const LoadedConfig& loaded);
int verify_backup(const LoadedConfig& loaded, const BackupOptions& options);
int restore_backup(const LoadedConfig& loaded, const BackupOptions& options);

/// Every route and every WebSocket command (method WS), as the router holds them; needs no database.
int print_routes(bool json);

/// GET /livez, or /readyz, of the daemon that this configuration describes; by the admin listener when the
/// public one speaks TLS.
int healthcheck(const Config& config, bool ready);

}  // namespace supd::app
