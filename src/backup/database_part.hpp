// An archive's database, put into a PostgreSQL database that is empty.
#pragma once

#include <supd/backup/backups.hpp>

#include <memory>
#include <string>

namespace supd::backup {

inline constexpr const char* kConfigurationPart = "configuration.toml";
inline constexpr const char* kCountsPart = "rows";
inline constexpr const char* kDatabasePart = "database.pgdump";
inline constexpr std::size_t kMaxCounts = 1024 * 1024;

/// A session for statements that may take long.
std::unique_ptr<db::Connection> session(const std::string& url);

/// The head of an archive of that kind that is made in this transaction.
Head head_now(db::Transaction& tx, const std::string& kind, const Settings& settings);

/// A database that goes away with the object unless it was kept.
class ScratchDatabase {
public:
    ScratchDatabase(const Target& target, const std::string& name);
    ~ScratchDatabase();
    ScratchDatabase(const ScratchDatabase&) = delete;
    ScratchDatabase& operator=(const ScratchDatabase&) = delete;
    const std::string& name() const noexcept { return name_; }
    const std::string& url() const noexcept { return url_; }
    void keep() noexcept { kept_ = true; }

private:
    Target target_;
    std::string name_;
    std::string url_;
    bool kept_ = false;
};

/// Loads it, compares it with what was counted, brings its schema up to date, replays the deletion ledger
/// (also that of the database at `live_url`, unless that is empty), and runs the hooks. Throws ArchiveError
/// that names what is not as it was.
void load_database(const std::filesystem::path& archive, const Settings& settings, const std::string& url,
                   const std::string& live_url, const std::vector<ModuleHook>& hooks);

/// The check and the hooks alone, in one transaction.
void run_hooks(db::Connection& connection, const std::vector<ModuleHook>& hooks);

}  // namespace supd::backup
