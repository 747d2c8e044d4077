// Archives in a second place: what is in the folder is copied to a store, thinned out there, and fetched
// back.
#pragma once

#include <supd/backup/backups.hpp>
#include <supd/blob/store.hpp>

#include <string>
#include <vector>

namespace supd::backup {

inline constexpr const char* kOffsitePrefix = "backups/";

struct OffsiteChanges {
    std::vector<std::string> copied;
    std::vector<std::string> removed;
};
/// Copies what the store does not have in this size (the newest copy of the ledger always), then removes all
/// but the newest `keep` of each kind there.
OffsiteChanges copy_offsite(const Settings& settings, blob::Store& store);
/// Names and sizes, oldest first.
std::vector<blob::Object> list_offsite(blob::Store& store);
/// Brings one archive (empty: all of them) and every copy of the ledger into the folder, as far as they are
/// not there. Throws ArchiveError when there is none of that name.
std::vector<std::string> fetch_offsite(const Settings& settings, blob::Store& store, const std::string& name);

}  // namespace supd::backup
