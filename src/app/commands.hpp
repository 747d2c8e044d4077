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

/// GET /livez of the daemon that this configuration describes; by the admin listener when the public one
/// speaks TLS.
int healthcheck(const Config& config);

}  // namespace supd::app
