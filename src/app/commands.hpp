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

/// Every route and every WebSocket command (method WS), as the router holds them; needs no database.
int print_routes(bool json);

/// GET /livez of the daemon that this configuration describes; by the admin listener when the public one
/// speaks TLS.
int healthcheck(const Config& config);

}  // namespace supd::app
