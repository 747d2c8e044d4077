// Starting and watching the processes of the embedded PostgreSQL: fork with a change of user,
// pidfds to wait on, and a look through /proc for processes that an earlier daemon left behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace supd::db {

// A file descriptor that closes itself. Not shared between threads.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release();
    void reset();

private:
    int fd_ = -1;
};

// The operating-system user a child runs as. `change` is false when that is already the own user.
struct ChildUser {
    bool change = false;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string name;
};

// The user for a child: `name` when running as root, else the own one. Throws PostgresError when
// `name` does not exist or is root itself.
ChildUser resolve_child_user(const std::string& name);

// The child starts in /, in a session of its own, with default signals.
struct ChildSpec {
    std::vector<std::string> argv;  // argv[0] is the absolute path of the program
    std::vector<std::string> env;
    ChildUser user;
    int output_fd = -1;           // stdout, and stderr unless error_fd is given; else /dev/null
    int error_fd = -1;            // stderr
    int input_fd = -1;            // stdin; else /dev/null
    int kept_fd = -1;             // stays open in the child under the same number; all others are closed
    int parent_death_signal = 0;  // sent when the THREAD that called spawn ends
};

class Child {
public:
    Child() = default;
    Child(pid_t pid, Fd pidfd, bool own) : pid_(pid), pidfd_(std::move(pidfd)), own_(own) {}

    pid_t pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    explicit operator bool() const { return pid_ > 0; }
    // Sends through the pidfd, so never to a stranger that got the same pid.
    void signal(int number) const;
    // True when it ended within the time; reaps it when it is the own child.
    bool wait(std::chrono::milliseconds timeout);
    // Exit status as of waitpid, valid after wait() returned true; -1 for adopted processes.
    int status() const { return status_; }

private:
    pid_t pid_ = -1;
    Fd pidfd_;
    bool own_ = false;
    int status_ = -1;
};

// Throws std::system_error when the fork fails or the child could not exec (the message names the step).
Child spawn(const ChildSpec& spec);

// Watches a process that is not the own child; empty Child when it is gone.
Child adopt(pid_t pid);

// The PostgreSQL processes whose working directory is `dir`: theirs is always the data directory.
std::vector<pid_t> postgres_processes_in(const std::filesystem::path& dir);

// A PostgreSQL process of `user` whose working directory may not be looked at: root without CAP_SYS_PTRACE,
// which containers take away.
bool is_hidden_postgres(pid_t pid, uid_t user);

}  // namespace supd::db
