#include "child_process.hpp"
#include "postgres_cluster.hpp"
#include "pq.hpp"

#include <supd/base/log.hpp>
#include <supd/db/embedded_postgres.hpp>
#include <supd/db/server.hpp>

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <thread>

namespace supd::db {
namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kPingInterval{15};
constexpr milliseconds kLongestPing{500};
constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{5000};
constexpr seconds kStable{30};              // ran so long: the next failure starts at the first back-off
constexpr milliseconds kShortestStop{500};  // for a fast shutdown, however little time is left
constexpr seconds kImmediateTimeout{5};     // from SIGQUIT to SIGKILL
constexpr std::chrono::hours kLogCheck{1};
constexpr seconds kRunningPatience{15};
constexpr int kStartAttempts = 3;

Fd take_lock(const ClusterLayout& layout) {
    Fd fd(::open(layout.lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) throw PostgresError("cannot open " + layout.lock_file.string() + ": " + std::strerror(errno));
    // A lock of the open file, not of the process: a query (find_running) neither takes nor drops it.
    struct flock whole{};
    whole.l_type = F_WRLCK;
    if (::fcntl(fd.get(), F_OFD_SETLK, &whole) != 0) {
        std::string holder(32, '\0');
        const auto got = ::pread(fd.get(), holder.data(), holder.size(), 0);
        holder.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
        holder = holder.substr(0, holder.find('\n'));
        throw PostgresError("the data directory " + layout.data_dir.string() + " is in use by another supd" +
                            (holder.empty() ? "" : " (pid " + holder + ")"));
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
        throw PostgresError("cannot write " + layout.lock_file.string() + ": " + std::strerror(errno));
    }
    return fd;
}

}  // namespace

// One thread owns the child from spawn to reap: the parent-death signal is bound to the thread
// that forked, so it must live exactly as long as the server is wanted.
class EmbeddedPostgres::Supervisor {
public:
    explicit Supervisor(EmbeddedPostgresOptions options)
        : options_(std::move(options)), layout_(layout_of(options_.data_dir)) {}

    void start();
    void stop(Clock::time_point by) noexcept;

    std::string conninfo;
    std::atomic<bool> ready{false};
    std::atomic<std::uint64_t> restarts{0};
    std::atomic<int> pid{0};

private:
    enum class Outcome { kStopped, kDied };

    void run();
    void prepare_files();
    void end_leftovers();
    Child launch();
    bool wait_until_ready(Child& child);
    void ensure_database();
    Outcome watch(Child& child);
    void shut_down(Child& child);
    void wake() noexcept;
    bool pause(milliseconds time) const;
    bool stopping() const { return pause(milliseconds(0)); }
    void report(std::exception_ptr failure);

    EmbeddedPostgresOptions options_;
    ClusterLayout layout_;
    Fd lock_;
    Fd log_;
    Fd wake_;  // eventfd: readable = stop
    std::atomic<Clock::time_point> stop_by_{Clock::time_point::max()};
    std::mutex mutex_;
    std::condition_variable changed_;
    bool answered_ = false;  // start() has its result
    std::exception_ptr failure_;
    std::thread thread_;
};

void EmbeddedPostgres::Supervisor::start() {
    if (thread_.joinable()) throw PostgresError("the embedded PostgreSQL is already started");
    std::error_code ec;
    if (!fs::exists(layout_.data_dir, ec)) {
        fs::create_directories(layout_.data_dir, ec);
        if (ec) throw PostgresError("cannot make " + layout_.data_dir.string() + ": " + ec.message());
        ::chmod(layout_.data_dir.c_str(), ::geteuid() == 0 ? 0711 : 0700);
    }
    lock_ = take_lock(layout_);
    prepare(layout_, options_.run_as);
    conninfo = conninfo_for(layout_.socket_dir, kAppRole, kDatabase);
    wake_ = Fd(::eventfd(0, EFD_CLOEXEC));
    log_ = Fd(::open(layout_.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!wake_ || !log_) {
        throw PostgresError("cannot open " + layout_.log_file.string() + ": " + std::strerror(errno));
    }
    answered_ = false;
    failure_ = nullptr;
    thread_ = std::thread([this] { run(); });
    const std::stop_callback interrupted(options_.interrupt, [this] { wake(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return answered_; });
    if (failure_) {
        lock.unlock();
        stop(Clock::time_point::max());
        std::rethrow_exception(failure_);
    }
}

void EmbeddedPostgres::Supervisor::stop(Clock::time_point by) noexcept {
    if (thread_.joinable()) {
        stop_by_ = by;
        wake();
        thread_.join();
    }
    lock_.reset();
}

void EmbeddedPostgres::Supervisor::wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void EmbeddedPostgres::Supervisor::report(std::exception_ptr failure) {
    const std::scoped_lock lock(mutex_);
    if (answered_) return;
    answered_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
}

// True when stop was asked for within the time.
bool EmbeddedPostgres::Supervisor::pause(milliseconds time) const {
    pollfd watched{wake_.get(), POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(time.count())) > 0;
}

void EmbeddedPostgres::Supervisor::run() {
    milliseconds backoff = kFirstBackoff;
    bool was_ready = false;
    int attempts = 0;
    while (!stopping()) {
        Child child;
        const auto begun = Clock::now();
        try {
            if (!was_ready) prepare_files();
            child = launch();
            pid = child.pid();
            if (wait_until_ready(child)) {
                if (!was_ready) ensure_database();
                was_ready = true;
                ready = true;
                report(nullptr);
                const Outcome outcome = watch(child);
                ready = false;
                if (outcome == Outcome::kStopped) break;
            }
            if (stopping()) break;
            if (!was_ready && ++attempts >= kStartAttempts) {
                throw PostgresError("PostgreSQL does not start; the end of " + layout_.log_file.string() +
                                    ":\n" + log_tail(layout_));
            }
            base::log::warn("postgres_ended", {{"attempt", restarts + 1}});
        } catch (const std::exception& error) {
            shut_down(child);
            base::log::error("postgres_failed", {{"error", error.what()}});
            if (!was_ready) {
                report(std::make_exception_ptr(PostgresError(error.what())));
                return;
            }
        }
        pid = 0;
        if (Clock::now() - begun > kStable) backoff = kFirstBackoff;
        if (pause(backoff)) break;
        backoff = std::min(backoff * 2, kLongestBackoff);
        ++restarts;
    }
    pid = 0;
    report(std::make_exception_ptr(PostgresError("stopped while starting")));
}

void EmbeddedPostgres::Supervisor::prepare_files() {
    end_leftovers();
    make_cluster(layout_, log_.get());
    write_settings(layout_);
}

// A daemon killed hard leaves a server that is shutting down (parent-death signal), or backends of
// a killed postmaster that end by themselves. None of them may outlive this function.
void EmbeddedPostgres::Supervisor::end_leftovers() {
    const auto begun = Clock::now();
    int stage = 0;
    for (auto pids = server_processes(layout_); !pids.empty(); pids = server_processes(layout_)) {
        const pid_t postmaster = recorded_postmaster(layout_);
        const bool postmaster_lives = std::ranges::find(pids, postmaster) != pids.end();
        const auto waited = Clock::now() - begun;
        const auto signal_all = [&](int number) {
            for (const pid_t each : pids)
                adopt(each).signal(number);
        };
        if (stage == 0) {
            base::log::info("postgres_leftover_stopped", {{"pid", postmaster}});
            if (postmaster_lives) {
                adopt(postmaster).signal(SIGINT);
            }
            stage = 1;
        } else if (stage == 1 && waited > (postmaster_lives ? options_.stop_timeout : kImmediateTimeout)) {
            signal_all(SIGQUIT);
            stage = 2;
        } else if (stage == 2 && waited > options_.stop_timeout + 2 * kImmediateTimeout) {
            signal_all(SIGKILL);
            stage = 3;
        }
        // Wakes at once when the first of them ends.
        Child first = adopt(postmaster_lives ? postmaster : pids.front());
        first.wait(kFirstBackoff);
        if (stopping()) throw PostgresError("stopped while starting");
    }
    // The pids recorded in the cluster and beside the socket may by now belong to a stranger (usual
    // after a container restart), and PostgreSQL would take it for a living postmaster. Nothing runs in
    // the cluster: see above.
    std::error_code ec;
    fs::remove(layout_.socket_dir / (".s.PGSQL." + std::to_string(kSocketPort) + ".lock"), ec);
    if (recorded_postmaster(layout_) != 0) fs::remove(layout_.cluster / "postmaster.pid", ec);
}

Child EmbeddedPostgres::Supervisor::launch() {
    const pid_t recorded = recorded_postmaster(layout_);
    const auto pids = server_processes(layout_);
    if (recorded > 0 && std::ranges::find(pids, recorded) != pids.end()) {
        // Somebody restarted it by hand (pg_ctl restart): theirs is as good as ours.
        if (Child running = adopt(recorded)) return running;
    }
    end_leftovers();
    return spawn_server(layout_, log_.get());
}

bool EmbeddedPostgres::Supervisor::wait_until_ready(Child& child) {
    const std::string admin = conninfo_for(layout_.socket_dir, kAdminRole, "postgres");
    const auto deadline = Clock::now() + options_.start_timeout;
    milliseconds interval =
        kPingInterval;  // longer while it recovers: each refused ping is a line in its log
    while (Clock::now() < deadline) {
        if (child.wait(milliseconds(0))) return false;
        if (PQping(admin.c_str()) == PQPING_OK) return true;
        if (pause(interval)) {
            shut_down(child);
            return false;
        }
        interval = std::min(interval + interval / 4, kLongestPing);
    }
    shut_down(child);
    throw PostgresError("PostgreSQL was not ready in time, see " + layout_.log_file.string());
}

void EmbeddedPostgres::Supervisor::ensure_database() {
    PqSession session(conninfo_for(layout_.socket_dir, kAdminRole, "postgres"));
    if (session.query("select 1 from pg_roles where rolname = 'supd'").empty()) {
        session.script("create role supd login");
    }
    if (session.query("select 1 from pg_database where datname = 'supd'").empty()) {
        session.script("create database supd owner supd");
    }
}

EmbeddedPostgres::Supervisor::Outcome EmbeddedPostgres::Supervisor::watch(Child& child) {
    const auto tick = std::chrono::duration_cast<milliseconds>(kLogCheck);
    for (;;) {
        struct stat info{};
        // The server writes with O_APPEND, so cutting the file below it is safe.
        if (::fstat(log_.get(), &info) == 0 &&
            static_cast<std::uintmax_t>(info.st_size) > kPostgresLogBytes) {
            [[maybe_unused]] const int cut = ::ftruncate(log_.get(), 0);
        }
        std::array<pollfd, 2> watched{pollfd{wake_.get(), POLLIN, 0}, pollfd{child.pidfd(), POLLIN, 0}};
        if (::poll(watched.data(), watched.size(), static_cast<int>(tick.count())) <= 0) continue;
        if (watched[1].revents != 0) {
            child.wait(milliseconds(0));
            return stopping() ? Outcome::kStopped : Outcome::kDied;
        }
        if (watched[0].revents != 0) {
            shut_down(child);
            return Outcome::kStopped;
        }
    }
}

void EmbeddedPostgres::Supervisor::shut_down(Child& child) {
    if (!child) return;
    child.signal(SIGINT);
    const auto left = std::chrono::duration_cast<milliseconds>(stop_by_.load() - Clock::now());
    if (child.wait(std::max(kShortestStop, std::min<milliseconds>(left, options_.stop_timeout)))) return;
    base::log::warn("postgres_stop_timeout", {{"detail", "going to immediate shutdown"}});
    child.signal(SIGQUIT);
    if (child.wait(kImmediateTimeout)) return;
    child.signal(SIGKILL);
    child.wait(kImmediateTimeout);
}

EmbeddedPostgres::EmbeddedPostgres(EmbeddedPostgresOptions options)
    : supervisor_(std::make_unique<Supervisor>(std::move(options))) {}
EmbeddedPostgres::~EmbeddedPostgres() {
    stop();
}
void EmbeddedPostgres::start() {
    supervisor_->start();
}
void EmbeddedPostgres::stop(Clock::time_point by) noexcept {
    supervisor_->stop(by);
}
const std::string& EmbeddedPostgres::conninfo() const {
    return supervisor_->conninfo;
}
bool EmbeddedPostgres::ready() const {
    return supervisor_->ready;
}
std::uint64_t EmbeddedPostgres::restarts() const {
    return supervisor_->restarts;
}
int EmbeddedPostgres::postmaster_pid() const {
    return supervisor_->pid;
}

bool EmbeddedPostgres::exists(const fs::path& data_dir) {
    std::error_code ec;
    return fs::exists(layout_of(data_dir).cluster / "PG_VERSION", ec);
}

std::optional<std::string> EmbeddedPostgres::find_running(const fs::path& data_dir) {
    const ClusterLayout layout = layout_of(data_dir);
    const Fd fd(::open(layout.lock_file.c_str(), O_RDONLY | O_CLOEXEC));
    struct flock query{};
    query.l_type = F_RDLCK;
    if (!fd || ::fcntl(fd.get(), F_OFD_GETLK, &query) != 0 || query.l_type == F_UNLCK) return std::nullopt;
    std::ifstream record(layout.socket_record);
    std::string socket_dir;
    if (!std::getline(record, socket_dir)) return std::nullopt;
    auto conninfo = conninfo_for(socket_dir, kAppRole, kDatabase);
    // The daemon may be starting right now, or bringing its server back: ask again while it lives.
    pid_t holder = 0;
    std::ifstream(layout.lock_file) >> holder;
    Child daemon = adopt(holder);
    for (const auto begun = Clock::now(); PQping(conninfo.c_str()) != PQPING_OK;) {
        if (daemon.wait(kFirstBackoff)) return std::nullopt;
        if (Clock::now() - begun > kRunningPatience) {
            throw PostgresError("the supd that runs on " + layout.data_dir.string() +
                                " has no database that answers");
        }
    }
    return conninfo;
}

std::string EmbeddedPostgres::admin_conninfo(const std::string& conninfo) {
    return conninfo_with(conninfo, {{"user", kAdminRole}, {"dbname", "postgres"}});
}

}  // namespace supd::db
