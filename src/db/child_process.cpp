#include "child_process.hpp"

#include <supd/db/embedded_postgres.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

namespace supd::db {
namespace {

constexpr std::size_t kPasswdBuffer = 16384;

[[noreturn]] void fail_errno(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), what);
}

// glibc 2.36 declares pidfd_open without C linkage.
int open_pidfd(pid_t pid) {
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// What the child tells through the pipe when it cannot go on.
enum Step : int { kStepChdir, kStepUser, kStepDup, kStepParentGone, kStepExec };
constexpr std::array<const char*, 5> kStepNames = {"enter /", "change the user", "redirect output",
                                                   "keep the parent", "execute"};
struct ChildFailure {
    int step;
    int error;
};

struct ChildPlan {
    char* const* argv;
    char* const* envp;
    const ChildUser* user;
    int output_fd;
    int error_fd;
    int input_fd;
    int kept_fd;
    int report_fd;
    int death_signal;
    pid_t parent;
};

[[noreturn]] void report_and_exit(int fd, Step step) {
    const ChildFailure failure{step, errno};
    [[maybe_unused]] const auto written = ::write(fd, &failure, sizeof failure);
    ::_exit(127);
}

// Runs between fork and exec: async-signal-safe calls only, no allocation. The raw system calls
// are on purpose: the wrappers of setuid and setgid talk to all threads of the parent's table.
[[noreturn]] void run_child(const ChildPlan& plan) {
    for (int number = 1; number < 32; ++number)
        ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();  // a Ctrl-C in the terminal is the daemon's to handle
    if (::chdir("/") != 0) report_and_exit(plan.report_fd, kStepChdir);
    if (plan.user->change) {
        if (::syscall(SYS_setgroups, plan.user->groups.size(), plan.user->groups.data()) != 0 ||
            ::syscall(SYS_setgid, plan.user->gid) != 0 || ::syscall(SYS_setuid, plan.user->uid) != 0) {
            report_and_exit(plan.report_fd, kStepUser);
        }
    }
    ::umask(S_IRWXG | S_IRWXO);
    if (plan.death_signal != 0) {
        // After setuid, which clears it.
        ::prctl(PR_SET_PDEATHSIG, plan.death_signal);
        if (::getppid() != plan.parent) report_and_exit(plan.report_fd, kStepParentGone);
    }
    if (::dup2(plan.input_fd, STDIN_FILENO) < 0 || ::dup2(plan.output_fd, STDOUT_FILENO) < 0 ||
        ::dup2(plan.error_fd, STDERR_FILENO) < 0) {
        report_and_exit(plan.report_fd, kStepDup);
    }
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    if (plan.kept_fd >= 0) ::fcntl(plan.kept_fd, F_SETFD, 0);
    ::execve(plan.argv[0], plan.argv, plan.envp);
    report_and_exit(plan.report_fd, kStepExec);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (auto& text : strings)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int Fd::release() {
    return std::exchange(fd_, -1);
}

void Fd::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

ChildUser resolve_child_user(const std::string& name) {
    std::vector<char> buffer(kPasswdBuffer);
    passwd entry{};
    passwd* found = nullptr;
    ChildUser user;
    if (::geteuid() != 0) {
        user.uid = ::geteuid();
        user.gid = ::getegid();
        ::getpwuid_r(user.uid, &entry, buffer.data(), buffer.size(), &found);
        if (found == nullptr) {
            throw PostgresError("user id " + std::to_string(user.uid) +
                                " has no entry in the user database, which PostgreSQL needs; add one, or set "
                                "database.url");
        }
        user.name = entry.pw_name;
        return user;
    }
    ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
        throw PostgresError("PostgreSQL must not run as root, and the user database.run_as = \"" + name +
                            "\" does not exist");
    }
    if (entry.pw_uid == 0) throw PostgresError("PostgreSQL must not run as root: database.run_as is root");
    user.change = true;
    user.uid = entry.pw_uid;
    user.gid = entry.pw_gid;
    user.name = entry.pw_name;
    int count = 64;
    user.groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
        user.groups.resize(static_cast<std::size_t>(count));
        ::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count);
    }
    user.groups.resize(static_cast<std::size_t>(count));
    return user;
}

void Child::signal(int number) const {
    if (pid_ > 0) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

bool Child::wait(std::chrono::milliseconds timeout) {
    if (pid_ <= 0) return true;
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd watched{pidfd_.get(), POLLIN, 0};
        const int ready = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
        if (ready > 0) break;
        if (ready == 0) return false;
        if (errno != EINTR) return false;
    }
    if (own_) {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        status_ = status;
    }
    pid_ = -1;
    pidfd_.reset();
    return true;
}

Child spawn(const ChildSpec& spec) {
    auto argv_strings = spec.argv;
    auto env_strings = spec.env;
    const auto argv = pointers(argv_strings);
    const auto envp = pointers(env_strings);
    std::array<int, 2> pipe_fds{};
    if (::pipe2(pipe_fds.data(), O_CLOEXEC) != 0) fail_errno(errno, "pipe");
    Fd read_end(pipe_fds[0]);
    Fd write_end(pipe_fds[1]);
    Fd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const int output_fd = spec.output_fd >= 0 ? spec.output_fd : null_fd.get();
    const ChildPlan plan{argv.data(),
                         envp.data(),
                         &spec.user,
                         output_fd,
                         spec.error_fd >= 0 ? spec.error_fd : output_fd,
                         spec.input_fd >= 0 ? spec.input_fd : null_fd.get(),
                         spec.kept_fd,
                         write_end.get(),
                         spec.parent_death_signal,
                         ::getpid()};
    const pid_t pid = ::fork();
    if (pid < 0) fail_errno(errno, "fork");
    if (pid == 0) run_child(plan);
    write_end.reset();
    Fd pidfd(open_pidfd(pid));
    ChildFailure failure{};
    ssize_t got = 0;
    do {
        got = ::read(read_end.get(), &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    if (got == static_cast<ssize_t>(sizeof failure) || !pidfd) {
        const int error = pidfd ? failure.error : ENOSYS;
        if (!pidfd) ::kill(pid, SIGKILL);
        int status = 0;
        ::waitpid(pid, &status, 0);
        const char* step = pidfd ? kStepNames.at(static_cast<std::size_t>(failure.step)) : "pidfd_open";
        fail_errno(error, "cannot start " + spec.argv.front() + ": " + step);
    }
    return {pid, std::move(pidfd), true};
}

Child adopt(pid_t pid) {
    Fd pidfd(open_pidfd(pid));
    if (!pidfd) return {};
    return {pid, std::move(pidfd), false};
}

std::vector<pid_t> postgres_processes_in(const std::filesystem::path& dir) {
    std::vector<pid_t> result;
    struct stat wanted{};
    if (::stat(dir.c_str(), &wanted) != 0) return result;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
    if (!proc) return result;
    while (const dirent* entry = ::readdir(proc.get())) {
        const std::string_view name = entry->d_name;
        pid_t pid = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) continue;
        struct stat cwd{};
        const std::string link = "/proc/" + std::string(name) + "/cwd";
        if (::stat(link.c_str(), &cwd) != 0) continue;
        if (cwd.st_dev != wanted.st_dev || cwd.st_ino != wanted.st_ino) continue;
        std::error_code ec;
        const auto program = std::filesystem::read_symlink("/proc/" + std::string(name) + "/exe", ec);
        if (program.filename().string().starts_with("postgres")) result.push_back(pid);
    }
    return result;
}

bool is_hidden_postgres(pid_t pid, uid_t user) {
    const std::string folder = "/proc/" + std::to_string(pid);
    struct stat cwd{}, owner{};
    if (::stat((folder + "/cwd").c_str(), &cwd) == 0 || (errno != EACCES && errno != EPERM)) return false;
    std::string name;
    std::ifstream(folder + "/comm") >> name;
    return ::stat(folder.c_str(), &owner) == 0 && owner.st_uid == user && name.starts_with("postgres");
}

}  // namespace supd::db
