#include "postgres_cluster.hpp"

#include <supd/db/embedded_postgres.hpp>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <set>

namespace supd::db {
namespace fs = std::filesystem;
namespace {

constexpr mode_t kPrivate = 0700;
constexpr mode_t kTraversable = 0711;
constexpr std::chrono::minutes kInitdbTimeout{5};
constexpr std::size_t kLogTail = 1500;
constexpr int kFolderFdBase = 100;  // above the numbers that shells and PostgreSQL use themselves

std::string errno_text() {
    return std::strerror(errno);
}

// 64-bit FNV-1a: names the socket folder below /tmp; not a secret, ownership is checked.
std::string path_hash(const std::string& text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    std::array<char, 17> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%016llx", static_cast<unsigned long long>(hash));
    return buffer.data();
}

bool may_traverse(const fs::path& dir, const ChildUser& user) {
    struct stat info{};
    if (::stat(dir.c_str(), &info) != 0) return false;
    if (info.st_uid == user.uid) return (info.st_mode & S_IXUSR) != 0;
    if (std::ranges::find(user.groups, info.st_gid) != user.groups.end())
        return (info.st_mode & S_IXGRP) != 0;
    return (info.st_mode & S_IXOTH) != 0;
}

bool all_traversable(const fs::path& dir, const ChildUser& user) {
    for (fs::path at = dir;; at = at.parent_path()) {
        if (!may_traverse(at, user)) return false;
        if (at == at.root_path()) return true;
    }
}

// Makes or adopts a folder of the server's user with mode 0700; never follows a symbolic link.
void own_folder(const fs::path& dir, const ChildUser& user) {
    if (::mkdir(dir.c_str(), kPrivate) != 0 && errno != EEXIST) {
        throw PostgresError("cannot make " + dir.string() + ": " + errno_text());
    }
    const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0) {
        throw PostgresError(dir.string() + " is not a folder that can be used: " + errno_text());
    }
    if (info.st_uid != user.uid) {
        if (info.st_uid != ::geteuid() || ::fchown(fd.get(), user.uid, user.gid) != 0) {
            throw PostgresError(dir.string() + " belongs to user id " + std::to_string(info.st_uid) +
                                ", not to " + user.name);
        }
    }
    if ((info.st_mode & 07777) != kPrivate && ::fchmod(fd.get(), kPrivate) != 0) {
        throw PostgresError("cannot set the mode of " + dir.string() + ": " + errno_text());
    }
}

fs::path find_binaries() {
    std::vector<std::pair<int, fs::path>> found;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ec)) {
        const std::string name = entry.path().filename();
        int version = 0;
        std::from_chars(name.data(), name.data() + name.size(), version);
        const fs::path bin = entry.path() / "bin";
        if (version >= kMinimumPostgres && fs::exists(bin / "initdb", ec) &&
            fs::exists(bin / "postgres", ec)) {
            found.emplace_back(version, bin);
        }
    }
    if (found.empty()) {
        throw PostgresError(
            "PostgreSQL " + std::to_string(kMinimumPostgres) +
            " or newer is not installed (looked in /usr/lib/postgresql/*/bin): install the package "
            "postgresql, or set database.url");
    }
    std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first > b.first; });
    for (const auto& [version, bin] : found) {
        if (version == kPreferredPostgres) return bin;
    }
    return found.front().second;
}

// A cluster opens only with the major version that made it.
fs::path binaries_for_cluster(const fs::path& cluster) {
    std::ifstream file(cluster / "PG_VERSION");
    int version = 0;
    if (!(file >> version)) return find_binaries();
    const fs::path bin = "/usr/lib/postgresql/" + std::to_string(version) + "/bin";
    std::error_code ec;
    if (!fs::exists(bin / "postgres", ec)) {
        throw PostgresError(cluster.string() + " was made by PostgreSQL " + std::to_string(version) +
                            ", which is not installed (no " + bin.string() + ")");
    }
    return bin;
}

// Written beside and renamed, so that a crash leaves the old or the new file.
void write_owned(const fs::path& path, const std::string& text, const ChildUser& user) {
    const fs::path fresh = path.string() + ".new";
    {
        const Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
            (user.change && ::fchown(fd.get(), user.uid, user.gid) != 0) || ::fsync(fd.get()) != 0) {
            throw PostgresError("cannot write " + fresh.string() + ": " + errno_text());
        }
    }
    fs::rename(fresh, path);
}

std::string conf_quote(const std::string& text) {
    std::string result = "'";
    for (const char c : text)
        result += c == '\'' ? std::string("''") : std::string(1, c);
    return result + "'";
}

std::string own_user_name() {
    const passwd* entry = ::getpwuid(::geteuid());
    return entry != nullptr ? entry->pw_name : "root";
}

std::vector<std::string> child_env() {
    return {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC"};
}

// What to pass as -D. When the data directory lies below folders that are closed to the server's
// user, that is an open descriptor by its /proc name, which opens without walking the parents.
struct FolderArgument {
    Fd fd;
    std::string path;
};

FolderArgument folder_argument(const fs::path& folder, bool reachable) {
    if (reachable) return {Fd(), folder.string()};
    const Fd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    Fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFolderFdBase));
    if (!high) throw PostgresError("cannot open " + folder.string() + ": " + errno_text());
    std::string path = "/proc/self/fd/" + std::to_string(high.get());
    return {std::move(high), std::move(path)};
}

std::string shared_buffers() {
    const auto memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t megabytes = std::clamp<std::uint64_t>(memory / 16 / (1U << 20U), 64, 512);
    return std::to_string(megabytes) + "MB";
}

}  // namespace

ClusterLayout layout_of(const fs::path& data_dir) {
    ClusterLayout layout;
    layout.data_dir = fs::weakly_canonical(fs::absolute(data_dir));
    if (!layout.data_dir.has_filename()) layout.data_dir = layout.data_dir.parent_path();
    layout.cluster = layout.data_dir / "postgres";
    layout.staging = layout.data_dir / "postgres.initdb";
    layout.log_file = layout.data_dir / "postgres.log";
    layout.lock_file = layout.data_dir / "supd.lock";
    layout.socket_record = layout.data_dir / "postgres.socket";
    return layout;
}

void prepare(ClusterLayout& layout, const std::string& run_as) {
    layout.user = resolve_child_user(run_as);
    struct stat info{};
    if (layout.user.change && ::stat(layout.data_dir.c_str(), &info) == 0 && info.st_uid == ::geteuid() &&
        (info.st_mode & S_IXOTH) == 0) {
        ::chmod(layout.data_dir.c_str(), (info.st_mode & 07777) | kTraversable);
    }
    own_folder(layout.cluster, layout.user);
    layout.binaries = binaries_for_cluster(layout.cluster);
    layout.reachable = !layout.user.change || all_traversable(layout.data_dir, layout.user);
    layout.socket_dir = layout.data_dir / "run";
    const std::string socket = layout.socket_dir.string() + "/.s.PGSQL." + std::to_string(kSocketPort);
    if (!layout.reachable || socket.size() > kSocketPathLimit) {
        layout.socket_dir = "/tmp/supd-" + path_hash(layout.data_dir.string());
    }
    own_folder(layout.socket_dir, layout.user);
    ChildUser self;
    write_owned(layout.socket_record, layout.socket_dir.string() + "\n", self);
}

void make_cluster(const ClusterLayout& layout, int log_fd) {
    std::error_code ec;
    if (fs::exists(layout.cluster / "PG_VERSION", ec)) return;
    if (!fs::is_empty(layout.cluster, ec)) {
        throw PostgresError(layout.cluster.string() + " is not empty and holds no PostgreSQL cluster");
    }
    fs::remove_all(layout.staging);
    own_folder(layout.staging, layout.user);
    const FolderArgument folder = folder_argument(layout.staging, layout.reachable);
    ChildSpec spec;
    spec.argv = {layout.binaries / "initdb",
                 "-D",
                 folder.path,
                 "-U",
                 kAdminRole,
                 "-E",
                 "UTF8",
                 "--locale=C.UTF-8",
                 "--data-checksums",
                 "--auth=peer",
                 "--no-instructions"};
    spec.env = child_env();
    spec.user = layout.user;
    spec.output_fd = log_fd;
    spec.kept_fd = folder.fd.get();
    spec.parent_death_signal = SIGKILL;
    Child child = spawn(spec);
    if (!child.wait(kInitdbTimeout)) {
        child.signal(SIGKILL);
        child.wait(std::chrono::seconds(5));
        throw PostgresError("initdb did not end in time, see " + layout.log_file.string());
    }
    if (!WIFEXITED(child.status()) || WEXITSTATUS(child.status()) != 0) {
        throw PostgresError("initdb failed; the end of " + layout.log_file.string() + ":\n" +
                            log_tail(layout));
    }
    fs::rename(layout.staging, layout.cluster);
    const Fd parent(::open(layout.data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent) ::fsync(parent.get());
}

void write_settings(const ClusterLayout& layout) {
    std::string conf =
        "# Written by supd at every start. Put your own settings into custom.conf beside this file.\n"
        "listen_addresses = ''\n"
        "unix_socket_permissions = 0700\n";
    conf += "unix_socket_directories = " + conf_quote(layout.socket_dir) + "\n";
    conf += "port = " + std::to_string(kSocketPort) + "\n";
    conf += "max_connections = " + std::to_string(kPostgresMaxConnections) + "\n";
    conf += "shared_buffers = " + shared_buffers() + "\n";
    conf +=
        "fsync = on\n"
        "synchronous_commit = on\n"
        "full_page_writes = on\n"
        // After a crash: one sync of the file system instead of opening a thousand files.
        "recovery_init_sync_method = syncfs\n"
        "wal_level = replica\n"
        "max_wal_senders = 2\n"
        "max_replication_slots = 2\n"
        "wal_buffers = 16MB\n"
        // One system call a commit instead of two, and as durable (O_DSYNC): docs/benchmarks.md.
        "wal_sync_method = open_datasync\n"
        "min_wal_size = 128MB\n"
        "max_wal_size = 2GB\n"
        "checkpoint_timeout = 15min\n"
        "checkpoint_completion_target = 0.9\n"
        // Short statements on few cores: parallel workers and JIT cost more than they give, and
        // they are what makes plans flip.
        "max_parallel_workers_per_gather = 0\n"
        "max_worker_processes = 4\n"
        "jit = off\n"
        "random_page_cost = 1.1\n"
        "autovacuum_vacuum_insert_scale_factor = 0.1\n"
        // At rest: the background writer and the WAL writer hibernate by themselves after a while;
        // longer delays make the hibernation deeper. Commits do not wait for either.
        "bgwriter_delay = 500ms\n"
        "wal_writer_delay = 500ms\n"
        "autovacuum_naptime = 1min\n"
        // What is written to the log never quotes a statement, a parameter or a row.
        "logging_collector = off\n"
        "log_destination = 'stderr'\n"
        "log_line_prefix = '%m [%p] '\n"
        "log_timezone = 'UTC'\n"
        "log_checkpoints = off\n"
        "log_statement = 'none'\n"
        "log_min_error_statement = panic\n"
        "log_error_verbosity = terse\n"
        "log_min_messages = warning\n"
        "timezone = 'UTC'\n"
        "datestyle = 'iso, ymd'\n"
        "default_text_search_config = 'pg_catalog.simple'\n"
        "include_if_exists = 'custom.conf'\n";
    write_owned(layout.cluster / "postgresql.conf", conf, layout.user);

    write_owned(
        layout.cluster / "pg_hba.conf",
        "# Written by supd at every start: the socket only, and only for the users in pg_ident.conf.\n"
        "local all all peer map=supd\n",
        layout.user);
    std::string ident = "# Written by supd at every start: map, operating-system user, role.\n";
    for (const std::string& name : std::set<std::string>{"root", own_user_name(), layout.user.name}) {
        for (const char* role : {kAppRole, kAdminRole}) {
            ident += "supd \"" + name + "\" " + role + "\n";
        }
    }
    write_owned(layout.cluster / "pg_ident.conf", ident, layout.user);
}

Child spawn_server(const ClusterLayout& layout, int log_fd) {
    const FolderArgument folder = folder_argument(layout.cluster, layout.reachable);
    ChildSpec spec;
    spec.argv = {layout.binaries / "postgres", "-D", folder.path};
    spec.env = child_env();
    spec.user = layout.user;
    spec.output_fd = log_fd;
    spec.kept_fd = folder.fd.get();
    spec.parent_death_signal = SIGINT;
    return spawn(spec);
}

std::string log_tail(const ClusterLayout& layout) {
    std::ifstream file(layout.log_file, std::ios::binary | std::ios::ate);
    const auto size = static_cast<std::size_t>(std::max<std::streamoff>(0, file.tellg()));
    const std::size_t length = std::min(size, kLogTail);
    std::string text(length, '\0');
    file.seekg(static_cast<std::streamoff>(size - length));
    file.read(text.data(), static_cast<std::streamsize>(length));
    return text;
}

pid_t recorded_postmaster(const ClusterLayout& layout) {
    std::ifstream file(layout.cluster / "postmaster.pid");
    pid_t pid = 0;
    return file >> pid ? pid : 0;
}

std::vector<pid_t> server_processes(const ClusterLayout& layout) {
    auto pids = postgres_processes_in(layout.cluster);
    const pid_t recorded = recorded_postmaster(layout);
    if (recorded > 0 && is_hidden_postgres(recorded, layout.user.uid)) pids.push_back(recorded);
    return pids;
}

std::string conninfo_for(const fs::path& socket_dir, const char* role, const char* database) {
    std::string host;
    for (const char c : socket_dir.string()) {
        if (c == '\'' || c == '\\') host += '\\';
        host += c;
    }
    return "host='" + host + "' port=" + std::to_string(kSocketPort) + " user=" + role +
           " dbname=" + database;
}

}  // namespace supd::db
