// What the configuration says about backups.
#pragma once

#include "config.hpp"

#include <supd/backup/backups.hpp>

#include <optional>

namespace supd::app {

/// Nothing unless both backup.folder and backup.key_file are set. Reads the key; throws backup::ArchiveError
/// when it is not fit.
std::optional<backup::Settings> backup_settings(const Config& config);

}  // namespace supd::app
