// Backups of the database as archives in a folder: made, listed, thinned out, proven and restored. For
// commands: all of it blocks. Throws ArchiveError for what is refused, db::ServerError and std::system_error
// for what failed.
#pragma once

#include <supd/backup/archive.hpp>
#include <supd/backup/module_hook.hpp>
#include <supd/db/database.hpp>

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace supd::backup {

struct Settings {
    std::filesystem::path folder;
    base::Secret key;
    std::size_t keep = 7;  ///< archives of each kind
    std::string supd_version;
    std::string configuration;  ///< as TOML, without secrets
};

/// Where supd's database is.
struct Target {
    std::string url;
    std::string maintenance_url;  ///< another database of the server, as a role that may make databases
    std::string owner;            ///< of a database that is made; empty: the role of maintenance_url
};

inline constexpr const char* kBackup = "backup";
inline constexpr const char* kSafety = "safety";  ///< made by a restore, of what it replaces

/// Makes an archive of that kind and returns its path. One at a time per folder; the database is served
/// meanwhile.
std::filesystem::path create(const Target& target, const Settings& settings, const std::string& kind);

struct Entry {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    Head head;
    std::string fault;  ///< why the head cannot be read; then head is empty
};
/// Oldest first. Only the head is looked at.
std::vector<Entry> list(const Settings& settings);
/// Deletes all but the newest `keep` of each kind; returns what was deleted.
std::vector<std::filesystem::path> prune(const Settings& settings);

/// Restores the archive into a database beside supd's own, compares what is there with what was saved, and
/// drops it again; the time of the proof is recorded in supd's database. The text of what was found goes to
/// `out`.
void verify(const std::filesystem::path& archive, const Target& target, const Settings& settings,
            const std::vector<ModuleHook>& hooks, std::ostream& out);

struct RestoreOptions {
    bool dry_run = false;
    bool safety_backup = true;              ///< else what was there stays as a database of another name
    std::optional<std::string> into_empty;  ///< URL of an empty database to fill, instead of exchanging
};
/// The archive becomes supd's database. Until the last step, which exchanges the databases in one
/// transaction, nothing that is there is touched.
void restore(const std::filesystem::path& archive, const Target& target, const Settings& settings,
             const std::vector<ModuleHook>& hooks, const RestoreOptions& options, std::ostream& out);

/// The database was brought back by other means (point-in-time recovery, a snapshot of the disk): checks it,
/// replays the copies of the deletion ledger and runs the hooks, in place.
void adopt(const Target& target, const Settings& settings, const std::vector<ModuleHook>& hooks,
           std::ostream& out);

/// How old the last backup and the last proof are, in seconds by the database's clock; nothing when there was
/// none.
struct Ages {
    std::optional<double> created;
    std::optional<double> verified;
};
Ages ages(db::Transaction& tx);

}  // namespace supd::backup
