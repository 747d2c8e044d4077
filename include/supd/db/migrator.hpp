// Schema migrations: pairs of files migrations/NNNN_name.up.sql and NNNN_name.down.sql, compiled into the
// binary.
//
// The first comment lines of an up file carry directives:
//   -- compat: N          required. Binaries whose newest migration is N or later may still run on this
//   schema.
//   -- no-transaction     for CREATE INDEX CONCURRENTLY and its kind: the statements run one by one, each
//   ending
//                         with ; at the end of a line. Write them so that a second run is harmless (IF NOT
//                         EXISTS). Also allowed in a down file.
// Everything else runs in one transaction together with its row in schema_migrations.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace supd::db {

/// The migration files themselves are wrong: numbers, names, directives. A fault of the build or of --dir.
class MigrationFileError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The database cannot be migrated or opened by this binary; the schema is untouched, or at the last complete
/// step.
class MigrationError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct Migration {
    std::int64_t version = 0;
    std::string name;
    std::string up;
    std::string down;
    bool up_in_transaction = true;
    bool down_in_transaction = true;
    std::int64_t compat = 0;
};

struct MigrationFile {
    std::string name;  ///< 0001_stream.up.sql
    std::string text;
};

/// Ordered by version. Throws MigrationFileError, naming every fault.
std::vector<Migration> parse_migrations(const std::vector<MigrationFile>& files);
/// Those compiled into this binary.
std::vector<Migration> embedded_migrations();
std::vector<Migration> migrations_in(const std::filesystem::path& folder);

enum class MigrationState {
    applied,
    pending,
    changed,  ///< applied, but the file is another one now
    newer,    ///< applied by a newer binary; this one has no file for it
};
const char* to_text(MigrationState state);

struct MigrationStatus {
    std::int64_t version = 0;
    std::string name;
    MigrationState state = MigrationState::pending;
    std::int64_t compat = 0;
    std::string applied_at;  ///< RFC 3339, empty while pending
};

/// One connection for the length of each call; blocking. The calls that write hold a session advisory lock,
/// so that any number of processes may start at once: one migrates, the others wait and find nothing to do.
/// All throw MigrationError; also when the database cannot be reached.
class Migrator {
public:
    Migrator(std::string conninfo, std::vector<Migration> migrations);

    /// Applies what is pending, up to and including `to`. Returns the versions applied. On a database of a
    /// newer binary that still admits this one it applies nothing; on one that does not it throws.
    std::vector<std::int64_t> up(std::optional<std::int64_t> to = std::nullopt);
    /// Takes back the newest one, or all above `to`. Returns the versions taken back.
    std::vector<std::int64_t> down(std::optional<std::int64_t> to = std::nullopt);
    std::vector<MigrationStatus> status();
    /// Throws when the schema is not one this binary may run on (older than it, or newer and closed to it).
    void check_compatible();

    std::int64_t newest() const noexcept;

private:
    std::string conninfo_;
    std::vector<Migration> migrations_;
};

}  // namespace supd::db
