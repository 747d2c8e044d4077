// The files of the embedded PostgreSQL: where the binaries, the cluster, the socket and the log
// are, who owns them, and what the configuration says. No process is supervised here.
#pragma once

#include "child_process.hpp"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace supd::db {

inline constexpr int kMinimumPostgres = 15;
inline constexpr int kPreferredPostgres = 15;
inline constexpr int kSocketPort = 5432;  // only names the socket file
inline constexpr std::size_t kSocketPathLimit = 107;
inline constexpr const char* kAppRole = "supd";
inline constexpr const char* kAdminRole = "supd_admin";
inline constexpr const char* kDatabase = "supd";

struct ClusterLayout {
    std::filesystem::path data_dir;  // absolute
    std::filesystem::path cluster;   // data_dir/postgres
    std::filesystem::path staging;   // initdb works here; renamed when complete
    std::filesystem::path log_file;
    std::filesystem::path lock_file;
    std::filesystem::path socket_record;  // holds the socket folder, for other processes
    std::filesystem::path socket_dir;     // set by prepare()
    std::filesystem::path binaries;       // set by prepare()
    ChildUser user;                       // set by prepare()
    bool reachable = true;                // the user can walk to data_dir
};

ClusterLayout layout_of(const std::filesystem::path& data_dir);

// Finds binaries and user, makes the folders with their owners and modes. Throws PostgresError.
void prepare(ClusterLayout& layout, const std::string& run_as);

// Runs initdb unless the cluster exists; a half-made one of an earlier crash is thrown away.
void make_cluster(const ClusterLayout& layout, int log_fd);

// Writes postgresql.conf, pg_hba.conf and pg_ident.conf, at every start.
void write_settings(const ClusterLayout& layout);

// Starts `postgres -D <cluster>`; the calling thread's end ends it (fast shutdown).
Child spawn_server(const ClusterLayout& layout, int log_fd);

// The last lines that PostgreSQL wrote.
std::string log_tail(const ClusterLayout& layout);

// Pid in postmaster.pid, or 0.
pid_t recorded_postmaster(const ClusterLayout& layout);

// The PostgreSQL processes that run in the cluster; where they cannot be told, the recorded postmaster.
std::vector<pid_t> server_processes(const ClusterLayout& layout);

// libpq key/value string.
std::string conninfo_for(const std::filesystem::path& socket_dir, const char* role, const char* database);

}  // namespace supd::db
