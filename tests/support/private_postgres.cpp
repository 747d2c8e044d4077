#include "private_postgres.hpp"

#include <supd/db/database.hpp>

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace support {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "supd";
constexpr auto kStartWithin = std::chrono::seconds(30);
constexpr auto kScriptTimeout = std::chrono::seconds(60);

fs::path newest_programs() {
    std::vector<std::pair<int, fs::path>> found;
    const fs::path root = "/usr/lib/postgresql";
    if (fs::is_directory(root))
        for (const auto& entry : fs::directory_iterator(root))
            if (fs::exists(entry.path() / "bin/initdb"))
                found.emplace_back(std::atoi(entry.path().filename().c_str()), entry.path() / "bin");
    if (found.empty()) throw std::runtime_error("PostgreSQL's initdb is not installed");
    return std::max_element(found.begin(), found.end())->second;
}

/// PostgreSQL refuses to run as root: such a test run borrows the postgres user.
const passwd* borrowed_user() {
    if (geteuid() != 0) return nullptr;
    const passwd* user = getpwnam("postgres");
    if (!user) throw std::runtime_error("running as root, and there is no user 'postgres' to borrow");
    return user;
}

pid_t launch(const std::vector<std::string>& command, const fs::path& log, bool die_with_parent) {
    const passwd* user = borrowed_user();
    std::vector<char*> arguments;
    for (const auto& word : command)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("fork failed");
    if (child > 0) return child;
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
    }
    if (user && (setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) _exit(126);
    // After setuid, which clears it. A crashed test binary takes its server along.
    if (die_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGQUIT);
        if (getppid() != parent) _exit(125);
    }
    setpgid(0, 0);
    execv(arguments[0], arguments.data());
    _exit(127);
}

std::string tail(const fs::path& log) {
    std::ifstream in(log);
    std::stringstream text;
    text << in.rdbuf();
    auto all = text.str();
    return all.size() > 2000 ? all.substr(all.size() - 2000) : all;
}

void run(const std::vector<std::string>& command, const fs::path& log) {
    int status = 0;
    const pid_t child = launch(command, log, false);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error(command[0] + " failed: " + tail(log));
}

}  // namespace

PrivatePostgres& PrivatePostgres::instance() {
    static PrivatePostgres one;
    return one;
}

PrivatePostgres::PrivatePostgres() : programs_(newest_programs()) {
    std::string pattern = (fs::temp_directory_path() / "supd-pg-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    if (const passwd* user = borrowed_user(); user && chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("chown of the temporary folder failed");
    try {
        start();
    } catch (...) {
        stop();
        throw;
    }
}

PrivatePostgres::~PrivatePostgres() {
    stop();
}

void PrivatePostgres::start() {
    const auto log = folder_ / "log";
    const auto data = (folder_ / "data").string();
    run({programs_ / "initdb", "-D", data, "-U", kUser, "-A", "trust", "-E", "UTF8", "--locale=C",
         "--no-sync"},
        log);
    // Durability is not what unit tests are about; the black-box tests run with fsync on.
    server_ = launch({programs_ / "postgres", "-D", data, "-k", folder_.string(), "-h", "", "-c", "fsync=off",
                      "-c", "full_page_writes=off", "-c", "shared_buffers=32MB", "-c", "max_connections=100",
                      "-c", "log_min_messages=warning"},
                     log, true);
    const auto until = std::chrono::steady_clock::now() + kStartWithin;
    for (;;) {
        int status = 0;
        if (waitpid(server_, &status, WNOHANG) == server_) {
            server_ = -1;
            throw std::runtime_error("postgres did not start: " + tail(log));
        }
        std::ifstream pid_file(folder_ / "data/postmaster.pid");
        std::string line;
        bool ready = false;
        while (std::getline(pid_file, line))
            ready = ready || line.starts_with("ready");
        if (ready) return;
        if (std::chrono::steady_clock::now() > until)
            throw std::runtime_error("postgres is not ready: " + tail(log));
        std::this_thread::sleep_for(std::chrono::milliseconds(10));  // polls the pid file's state line
    }
}

void PrivatePostgres::stop() noexcept {
    if (server_ > 0) {
        kill(server_, SIGINT);
        waitpid(server_, nullptr, 0);
        server_ = -1;
    }
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

std::string PrivatePostgres::url_of(const std::string& database) const {
    return "postgresql:///" + database + "?host=" + folder_.string() + "&user=" + kUser;
}

std::string PrivatePostgres::fresh_database(const std::string& source) {
    const std::lock_guard lock(mutex_);
    const auto name = "test_" + std::to_string(++made_);
    run({programs_ / "createdb", "-h", folder_.string(), "-U", kUser, "-T", source, name}, folder_ / "log");
    return url_of(name);
}

std::string migrated_database() {
    static const std::string prepared = [] {
        auto& server = PrivatePostgres::instance();
        const auto url = server.fresh_database();
        std::set<fs::path> files;
        for (const auto& entry : fs::directory_iterator(SUPD_MIGRATIONS_FOLDER))
            if (entry.path().string().ends_with(".up.sql")) files.insert(entry.path());
        supd::db::Connection connection(url, kScriptTimeout, "migrations");
        for (const auto& file : files) {
            std::ifstream in(file);
            std::stringstream sql;
            sql << in.rdbuf();
            connection.transact([&](supd::db::Transaction& tx) { tx.script(sql.str()); });
        }
        const auto from = url.find("test_");
        return url.substr(from, url.find('?') - from);
    }();
    return PrivatePostgres::instance().fresh_database(prepared);
}

}  // namespace support
