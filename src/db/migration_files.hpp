// What cmake/migrations.cmake generates: the files of migrations/ as they were at the build.
#pragma once

#include <supd/db/migrator.hpp>

#include <vector>

namespace supd::db {

std::vector<MigrationFile> embedded_migration_files();

}  // namespace supd::db
