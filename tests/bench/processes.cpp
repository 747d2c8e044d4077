#include "processes.hpp"

#include "ws_load.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace bench {
namespace {

constexpr int kStopSeconds = 20;
constexpr int kReadySeconds = 60;

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

std::string postgres_program(const std::string& name) {
    const char* folder = std::getenv("SUPD_BENCH_PG_BIN");
    return (folder != nullptr ? std::string(folder) : std::string("/usr/lib/postgresql/15/bin")) + "/" + name;
}

[[noreturn]] void run_child(const Spawn& spawn, int output) {
    if (spawn.as_postgres && geteuid() == 0) {
        const passwd* user = getpwnam("postgres");
        if (user == nullptr || initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
            setuid(user->pw_uid) != 0)
            _exit(127);
    }
    // A benchmark that dies must not leave servers behind.
    prctl(PR_SET_PDEATHSIG, spawn.stop_signal);
    const int log = open(spawn.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log >= 0) {
        dup2(log, 2);
        dup2(output >= 0 ? output : log, 1);
    }
    for (const auto& [name, value] : spawn.environment)
        setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> arguments;
    for (const std::string& word : spawn.command)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
}

struct ProcessTimes {
    pid_t parent = 0;
    double own = 0;
    double reaped = 0;
};

bool read_times(pid_t pid, ProcessTimes& times) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return false;
    std::istringstream rest(line.substr(line.rfind(')') + 2));
    std::string state;
    std::string word;
    long ticks[4] = {};
    rest >> state >> times.parent;
    for (int i = 0; i < 9; ++i)
        rest >> word;  // pgrp ... cmajflt: fields 5 to 13 of proc(5)
    for (long& t : ticks)
        rest >> t;
    const auto hz = static_cast<double>(sysconf(_SC_CLK_TCK));
    times.own = static_cast<double>(ticks[0] + ticks[1]) / hz;
    times.reaped = static_cast<double>(ticks[2] + ticks[3]) / hz;
    return true;
}

// Free a moment ago, which is all that can be known.
std::uint16_t free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        fail("a free port");
    ::close(fd);
    return ntohs(address.sin_port);
}

}  // namespace

TempFolder::TempFolder() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/supd_bench_XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) fail("mkdtemp");
    path_ = pattern;
    if (chmod(path_.c_str(), 0755) != 0) fail("chmod");
}

TempFolder::~TempFolder() {
    if (std::getenv("SUPD_BENCH_KEEP") != nullptr) return;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Child::Child(Spawn spawn) : spawn_(std::move(spawn)) {
    int ends[2] = {-1, -1};
    if (spawn_.pipe_stdout && pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) run_child(spawn_, ends[1]);
    if (ends[1] >= 0) ::close(ends[1]);
    output_ = ends[0];
}

Child::~Child() {
    stop();
    if (output_ >= 0) ::close(output_);
}

std::string Child::line(int timeout_s) {
    const std::int64_t deadline = now_ns() + std::int64_t{timeout_s} * 1'000'000'000;
    for (;;) {
        const std::size_t end = buffered_.find('\n');
        if (end != std::string::npos) {
            std::string line = buffered_.substr(0, end);
            buffered_.erase(0, end + 1);
            return line;
        }
        pollfd ready{output_, POLLIN, 0};
        const auto left = static_cast<int>((deadline - now_ns()) / 1'000'000);
        char chunk[4096];
        if (left <= 0 || ::poll(&ready, 1, left) <= 0)
            throw std::runtime_error(spawn_.command[0] + ": no ready line");
        const ssize_t n = ::read(output_, chunk, sizeof chunk);
        if (n <= 0) throw std::runtime_error(spawn_.command[0] + " ended early; its log: " + spawn_.log);
        buffered_.append(chunk, static_cast<std::size_t>(n));
    }
}

int Child::wait() {
    int status = 0;
    while (pid_ > 0 && waitpid(pid_, &status, 0) < 0 && errno == EINTR)
        continue;
    pid_ = -1;
    return status;
}

int Child::stop() {
    if (pid_ <= 0) return 0;
    const int ended = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    kill(pid_, spawn_.stop_signal);
    pollfd wait_for{ended, POLLIN, 0};
    if (ended < 0 || ::poll(&wait_for, 1, kStopSeconds * 1000) != 1) kill(pid_, SIGKILL);
    if (ended >= 0) ::close(ended);
    return wait();
}

double cpu_seconds(pid_t root) {
    std::map<pid_t, ProcessTimes> all;
    DIR* folder = opendir("/proc");
    if (folder == nullptr) fail("/proc");
    while (const dirent* entry = readdir(folder)) {
        const pid_t pid = std::atoi(entry->d_name);
        ProcessTimes times;
        if (pid > 0 && read_times(pid, times)) all[pid] = times;
    }
    closedir(folder);
    double sum = 0;
    for (const auto& [pid, times] : all) {
        pid_t up = pid;
        while (up != root && all.contains(up))
            up = all[up].parent;
        if (up == root) sum += times.own + times.reaped;
    }
    return sum;
}

double own_cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::uint64_t resident_bytes(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

namespace {

constexpr int kLogFiles = 64;  // of 16 MB: more than the longest benchmark writes

void run(PGconn* connection, const char* sql) {
    PGresult* result = PQexec(connection, sql);
    const auto status = PQresultStatus(result);
    PQclear(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        throw std::runtime_error(std::string(sql) + ": " + PQerrorMessage(connection));
}

}  // namespace

Postgres::Postgres(const TempFolder& folder) : folder_(folder.path() + "/pg") {
    if (mkdir(folder_.c_str(), 0700) != 0) fail("mkdir " + folder_);
    if (const passwd* user = getpwnam("postgres"); geteuid() == 0 && user != nullptr)
        if (chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) fail("chown " + folder_);
    const std::string log = folder_ + "/log";
    const std::string data = folder_ + "/data";
    Child init({.command = {postgres_program("initdb"), "-D", data, "-U", "supd", "-A", "trust", "-E", "UTF8",
                            "--locale=C.UTF-8"},
                .environment = {},
                .log = log,
                .as_postgres = true});
    if (init.wait() != 0) throw std::runtime_error("initdb failed: " + log);
    // Durability is PostgreSQL's default (fsync, full_page_writes, synchronous_commit on); larger WAL
    // and buffers than the defaults keep a checkpoint of a 10 s run from deciding the figure. So that a fresh
    // cluster does not make and clear its log files while it is measured, it gets them first, as one has that
    // has run for a day. The log is synced as supd's private PostgreSQL does it.
    child_ = std::make_unique<Child>(Spawn{
        .command = {postgres_program("postgres"), "-D", data, "-k", folder_, "-c", "listen_addresses=", "-c",
                    "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "min_wal_size=1GB", "-c",
                    "max_connections=100", "-c", "wal_sync_method=open_datasync"},
        .environment = {},
        .log = log,
        .as_postgres = true,
        .stop_signal = SIGINT});
    for (const std::int64_t deadline = now_ns() + 30'000'000'000;;) {
        PGconn* connection = PQconnectdb(url("postgres").c_str());
        const bool up = PQstatus(connection) == CONNECTION_OK;
        if (up) {
            run(connection, "create database supd");
            // Written once and recycled by the checkpoint, they are there for what comes.
            for (int i = 0; i < kLogFiles; ++i) {
                run(connection, "select pg_logical_emit_message(false, 'bench', '')");
                run(connection, "select pg_switch_wal()");
            }
            run(connection, "checkpoint");
        }
        PQfinish(connection);
        if (up) break;
        if (now_ns() > deadline) throw std::runtime_error("PostgreSQL does not start: " + log);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

std::string Postgres::url(const std::string& database) const {
    return "postgresql:///" + database + "?host=" + folder_ + "&user=supd";
}

RedisServer::RedisServer(const TempFolder& folder) : port_(free_port()) {
    child_ = std::make_unique<Child>(
        Spawn{.command = {"redis-server", "--bind", "127.0.0.1", "--port", std::to_string(port_), "--save",
                          "", "--appendonly", "no", "--dir", folder.path()},
              .environment = {},
              .log = folder.path() + "/redis.log"});
}

Daemon::Daemon(const std::string& program, const std::string& data_dir, const std::string& database_url,
               const Environment& extra)
    : child_([&] {
          Spawn spawn{
              .command = {program, "serve", "--data-dir", data_dir, "--port", "0", "--admin-port", "0"},
              .environment = {{"DATABASE_URL", database_url},
                              {"SUPD__MODE", "development"},
                              {"SUPD__RATE_LIMIT__ENABLED", "false"},
                              {"SUPD__AUTH__PASSWORD_HASH", "minimal"}},
              .log = data_dir + "/bench-daemon.log",
              .pipe_stdout = true};
          std::filesystem::create_directories(data_dir);
          spawn.environment.insert(spawn.environment.end(), extra.begin(), extra.end());
          return spawn;
      }()) {
    const auto ready = nlohmann::json::parse(child_.line(kReadySeconds));
    const std::string url = ready.at("url");
    port_ = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

void allow_open_files(std::uint64_t files) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= files) return;
    limit.rlim_cur = files;
    limit.rlim_max = std::max<rlim_t>(limit.rlim_max, files);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit RLIMIT_NOFILE");
}

}  // namespace bench
