// The folder of archives: names that sort by time, one writer at a time.
#pragma once

#include "file.hpp"

#include <supd/backup/archive.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace supd::backup {

inline constexpr const char* kSuffix = ".supd";

/// Held while an archive is written; makes the folder (0700) and removes what a killed writer left. Throws
/// ArchiveError when another process holds it.
class FolderLock {
public:
    explicit FolderLock(const std::filesystem::path& folder);

private:
    File file_;
};

/// The same for the copies of the ledger, which are written beside a backup that is under way: waits for its
/// turn, which is short.
class LedgerLock {
public:
    explicit LedgerLock(const std::filesystem::path& folder);

private:
    File file_;
};

/// backup-20260128T143022123Z.supd
std::filesystem::path archive_path(const std::filesystem::path& folder, const std::string& kind,
                                   const std::string& created_at);
/// The archives in it, oldest first; all kinds, or one.
std::vector<std::filesystem::path> archives_in(const std::filesystem::path& folder,
                                               const std::string& kind = "");
/// 20260128T143022123Z of that name: archives and what belongs to them sort by it.
std::string stamp_of(const std::filesystem::path& archive);
/// RFC 3339.
std::string time_of_stamp(const std::string& stamp);
/// backup, safety ...; empty for a name that is none of ours.
std::string kind_of(const std::filesystem::path& path);

}  // namespace supd::backup
