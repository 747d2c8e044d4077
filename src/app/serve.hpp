// `supd serve`: everything from the database to the ready line, and back down in the grace.
#pragma once

#include "config.hpp"

#include <functional>

namespace supd::app {

/// Returns the exit code. Throws ConfigError, ListenError, db::PostgresError, db::MigrationError for what
/// keeps it from starting. `reread` loads the configuration anew, for SIGHUP; it may throw ConfigError.
int run_serve(const Config& given, const std::function<Config()>& reread);

}  // namespace supd::app
