// What the configuration says about backups.
#pragma once

#include "config.hpp"

#include <supd/backup/backups.hpp>
#include <supd/blob/store.hpp>

#include <memory>
#include <optional>

namespace supd::app {

/// Nothing unless both backup.folder and backup.key_file are set. Reads the key; throws backup::ArchiveError
/// when it is not fit.
std::optional<backup::Settings> backup_settings(const Config& config);
/// Null when there is no second place.
std::unique_ptr<blob::Store> offsite_store(const Config& config);

}  // namespace supd::app
