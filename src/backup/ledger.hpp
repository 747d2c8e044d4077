// Copies of the deletion ledger beside the archives. A copy belongs to the newest archive at its time, holds
// what was erased since that was made, and is replaced as a whole; with all copies from an archive's on, a
// restore knows what was erased after it even when the database is gone.
#pragma once

#include <supd/backup/backups.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace supd::backup {

inline constexpr const char* kLedger = "ledger";       // kind of archive, and its part
inline constexpr std::size_t kMaxLedger = 512U << 20;  // of one copy

/// Writes the copy of the newest archive anew; the path, empty when there is no archive yet.
std::filesystem::path write_ledger(db::Transaction& tx, const Settings& settings);

/// Adds to the ledger of the database at `url` what the copies in the folder and the database at `live_url`
/// (may be empty) know and it does not. Returns how many rows were new.
std::size_t replay_ledger(const std::string& url, const Settings& settings, const std::string& live_url);

}  // namespace supd::backup
