// The processes a benchmark runs against: a private PostgreSQL 15 with default durability, the daemon,
// and what both cost (from /proc). Everything started here ends with the object.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// A folder below /tmp (or $TMPDIR), removed with everything in it by the destructor.
class TempFolder {
public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

struct Spawn {
    std::vector<std::string> command;
    Environment environment;
    std::string log;           // stdout (unless piped) and stderr go to this file
    bool pipe_stdout = false;  // Child::output then reads it
    bool as_postgres = false;  // when root: change to the user "postgres" (PostgreSQL refuses root)
    int stop_signal = 15;
};

class Child {
public:
    explicit Child(Spawn spawn);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    pid_t pid() const { return pid_; }
    // The next line of the piped stdout, without its end; throws after timeout_s or at the end.
    std::string line(int timeout_s);
    int wait();  // exit status as of waitpid
    // Sends the stop signal, waits up to 20 s, then SIGKILL. Returns the wait status.
    int stop();

private:
    Spawn spawn_;
    pid_t pid_ = -1;
    int output_ = -1;
    std::string buffered_;
};

// CPU seconds (user + system) of a process, of its living descendants and of those already reaped.
double cpu_seconds(pid_t root);
// CPU seconds of this process.
double own_cpu_seconds();
// Resident bytes of one process.
std::uint64_t resident_bytes(pid_t pid);

class Postgres {
public:
    explicit Postgres(const TempFolder& folder);
    pid_t pid() const { return child_->pid(); }
    // For libpq, and for the daemon's DATABASE_URL.
    std::string url(const std::string& database) const;

private:
    std::string folder_;
    std::unique_ptr<Child> child_;
};

// A private Redis on a free port of the loopback, nothing on disk.
class RedisServer {
public:
    explicit RedisServer(const TempFolder& folder);
    pid_t pid() const { return child_->pid(); }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

private:
    std::uint16_t port_;
    std::unique_ptr<Child> child_;
};

class Daemon {
public:
    // program: the supd binary; data_dir may hold the state of an earlier one.
    Daemon(const std::string& program, const std::string& data_dir, const std::string& database_url,
           const Environment& extra = {});
    pid_t pid() const { return child_.pid(); }
    std::uint16_t port() const { return port_; }
    int stop() { return child_.stop(); }

private:
    Child child_;
    std::uint16_t port_ = 0;
};

// Lets 10,000 connections have a descriptor each, here and in children. Throws when `files` is refused.
void allow_open_files(std::uint64_t files);

}  // namespace bench
