// The private PostgreSQL of a daemon with no database configured: made by initdb in
// <data_dir>/postgres, reachable by a unix socket only, a supervised child of the daemon.
//
// Life of the files below data_dir:
//   supd.lock      locked while the object lives, so that two daemons cannot share a directory
//   postgres/      the cluster, mode 0700, owned by the user PostgreSQL runs as
//   run/           the socket; a 0700 folder below /tmp instead when the path is too long for a socket
//                  address (107 bytes) or not reachable by that user
//   postgres.log   what PostgreSQL says, truncated above kPostgresLogBytes
//
// The server never runs as root: a daemon started as root runs it as `run_as`.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>

namespace supd::db {

inline constexpr std::uintmax_t kPostgresLogBytes = 16U << 20U;
inline constexpr int kPostgresMaxConnections = 64;

/// The embedded server cannot be had; the text is for the operator (exit code 69).
class PostgresError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct EmbeddedPostgresOptions {
    std::filesystem::path data_dir;
    std::string run_as = "postgres";          ///< only looked at when the daemon is root
    std::chrono::seconds start_timeout{300};  ///< crash recovery may read a lot of log
    std::chrono::seconds stop_timeout{10};    // then immediate mode, which recovers at the next start
    std::stop_token interrupt;                ///< ends a start() that is under way
};

/// Thread-safe. Owns the child, the thread that supervises it and the lock on the data directory.
class EmbeddedPostgres {
public:
    explicit EmbeddedPostgres(EmbeddedPostgresOptions options);
    ~EmbeddedPostgres();  ///< stop()
    EmbeddedPostgres(const EmbeddedPostgres&) = delete;
    EmbeddedPostgres& operator=(const EmbeddedPostgres&) = delete;

    /// Takes the lock, makes the cluster when there is none, ends what an earlier daemon left
    /// running, starts the server and returns when it answers. Throws PostgresError.
    void start();
    /// Fast shutdown, then immediate on time-out or when it is past `by`; returns when the server is gone.
    /// Idempotent.
    void stop(
        std::chrono::steady_clock::time_point by = std::chrono::steady_clock::time_point::max()) noexcept;

    /// libpq key/value string for the role that owns the database `supd`; valid after start().
    const std::string& conninfo() const;
    /// False while the server is being restarted.
    bool ready() const;
    /// How often the server died and was started again.
    std::uint64_t restarts() const;
    /// 0 while there is none.
    int postmaster_pid() const;

    /// Whether a cluster was ever made there; it need not run.
    static bool exists(const std::filesystem::path& data_dir);
    /// The connection string of the server that another process runs on this data directory, or
    /// nothing when no daemon holds it. Waits for a daemon that is starting; throws PostgresError after 15 s.
    static std::optional<std::string> find_running(const std::filesystem::path& data_dir);
    /// From the connection string of an embedded server: its administrator, in another database than supd's.
    static std::string admin_conninfo(const std::string& conninfo);
    /// The role that owns the database.
    static constexpr const char* kRole = "supd";

private:
    class Supervisor;
    std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace supd::db
