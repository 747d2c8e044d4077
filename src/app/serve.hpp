// `supd serve`: everything from the database to the ready line, and back down in the grace.
#pragma once

#include "config.hpp"

namespace supd::app {

/// Returns the exit code. Throws ConfigError, db::PostgresError, db::MigrationError for what keeps it from
/// starting.
int run_serve(Config config);

}  // namespace supd::app
