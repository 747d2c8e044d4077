#include <supd/db/embedded_postgres.hpp>

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

namespace supd::db {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class EmbeddedPostgresTest : public testing::Test {
protected:
    EmbeddedPostgresTest() {
        std::string pattern = (fs::temp_directory_path() / "supd-pg-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        options_.data_dir = root_ / "data";
    }
    ~EmbeddedPostgresTest() override {
        std::error_code ec;
        std::ifstream record(options_.data_dir / "postgres.socket");
        std::string socket_dir;
        if (std::getline(record, socket_dir) && socket_dir.starts_with("/tmp/supd-"))
            fs::remove_all(socket_dir, ec);
        fs::remove_all(root_, ec);
    }

    static std::string query(const std::string& conninfo, const char* sql) {
        const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(conninfo.c_str()), &PQfinish);
        const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), sql), &PQclear);
        if (PQresultStatus(result.get()) == PGRES_TUPLES_OK) return PQgetvalue(result.get(), 0, 0);
        if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) return "ok";
        return PQerrorMessage(connection.get());
    }

    template <class Condition>
    static bool within(std::chrono::milliseconds time, Condition condition) {
        const auto deadline = Clock::now() + time;
        while (!condition()) {
            if (Clock::now() > deadline) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return true;
    }

    // The postmaster of a daemon that was killed hard; `stopped`: it does not hear of that yet.
    pid_t orphan(bool stopped) const {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe(ends.data()), 0);
        const pid_t daemon = ::fork();
        if (daemon == 0) {
            EmbeddedPostgres server(options_);
            server.start();
            const int pid = server.postmaster_pid();
            [[maybe_unused]] const auto written = ::write(ends[1], &pid, sizeof pid);
            for (;;)
                ::pause();
        }
        int pid = 0;
        EXPECT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
        ::close(ends[0]);
        ::close(ends[1]);
        if (stopped) EXPECT_EQ(::kill(pid, SIGSTOP), 0);
        EXPECT_EQ(::kill(daemon, SIGKILL), 0);
        EXPECT_EQ(::waitpid(daemon, nullptr, 0), daemon);
        return pid;
    }
    pid_t recorded() const {
        pid_t pid = 0;
        std::ifstream(options_.data_dir / "postgres" / "postmaster.pid") >> pid;
        return pid;
    }

    fs::path root_;
    EmbeddedPostgresOptions options_;
};

// Capabilities are of a thread; those that it starts inherit them.
void drop_ptrace() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
    sets[0].effective &= ~(1U << CAP_SYS_PTRACE);
    ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
}

// The steps share one cluster, because initdb is what takes the time.
TEST_F(EmbeddedPostgresTest, LivesThroughStartKillAndRestart) {
    std::string conninfo;
    {
        EmbeddedPostgres server(options_);
        server.start();
        conninfo = server.conninfo();
        EXPECT_EQ(query(conninfo, "SELECT current_user || ' ' || current_database()"), "supd supd");
        EXPECT_EQ(query(conninfo, "SHOW fsync"), "on");
        EXPECT_EQ(query(conninfo, "SHOW synchronous_commit"), "on");
        EXPECT_EQ(query(conninfo, "SHOW data_checksums"), "on");
        EXPECT_EQ(query(conninfo, "SHOW listen_addresses"), "");
        EXPECT_EQ(query(conninfo, "SHOW server_encoding"), "UTF8");
        EXPECT_EQ(query(conninfo, "CREATE TABLE kept (n int)"), "ok");
        EXPECT_EQ(query(conninfo, "INSERT INTO kept VALUES (42)"), "ok");

        struct stat info{};
        ASSERT_EQ(::stat((options_.data_dir / "postgres").c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 07777, 0700U);
        EXPECT_NE(info.st_uid, 0U) << "PostgreSQL must never run as root";
        ASSERT_EQ(::stat(("/proc/" + std::to_string(server.postmaster_pid())).c_str(), &info), 0);
        EXPECT_NE(info.st_uid, 0U);

        // A second daemon on the same directory is refused, and other commands find the server.
        EmbeddedPostgres second(options_);
        EXPECT_THROW(second.start(), PostgresError);
        EXPECT_EQ(EmbeddedPostgres::find_running(options_.data_dir), conninfo);

        // kill -9 of the postmaster: back by itself, with the data.
        const int old_pid = server.postmaster_pid();
        const auto killed = Clock::now();
        ASSERT_EQ(::kill(old_pid, SIGKILL), 0);
        ASSERT_TRUE(within(std::chrono::seconds(20), [&] {
            return server.ready() && server.postmaster_pid() != old_pid && server.postmaster_pid() != 0;
        }));
        RecordProperty("recovered_ms",
                       static_cast<int>((Clock::now() - killed) / std::chrono::milliseconds(1)));
        EXPECT_EQ(query(conninfo, "SELECT n FROM kept"), "42");
        EXPECT_EQ(server.restarts(), 1U);
    }
    EXPECT_EQ(EmbeddedPostgres::find_running(options_.data_dir), std::nullopt);
    EXPECT_FALSE(fs::exists(options_.data_dir / "postgres" / "postmaster.pid")) << "stopped cleanly";

    // kill -9 of the daemon: its server goes down by itself, the next daemon waits for that.
    const pid_t first = orphan(false);
    {
        EmbeddedPostgres server(options_);
        server.start();
        EXPECT_NE(server.postmaster_pid(), first);
        EXPECT_EQ(query(server.conninfo(), "SELECT n FROM kept"), "42");
    }
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(first) + "/exe")) << "at most a zombie is left";

    // The same for a daemon that may not look at other users' processes: it waits, too.
    const pid_t second = orphan(true);
    std::thread([&] {
        drop_ptrace();
        EmbeddedPostgres server(options_);
        auto started = std::async(std::launch::async, [&] { server.start(); });
        EXPECT_FALSE(within(std::chrono::milliseconds(500), [&] { return recorded() != second; }));
        EXPECT_EQ(::kill(second, SIGCONT), 0);
        EXPECT_NO_THROW(started.get());
        EXPECT_EQ(query(server.conninfo(), "SELECT n FROM kept"), "42");
    }).join();
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(second) + "/exe"));

    // A recorded pid that now belongs to a stranger does not keep the server from starting.
    {
        std::ofstream stale(options_.data_dir / "postgres" / "postmaster.pid");
        std::ofstream(options_.data_dir / "run" / ".s.PGSQL.5432.lock") << ::getpid() << "\n";
        stale << ::getpid() << "\n" << (options_.data_dir / "postgres").string() << "\n0\n5432\n\n\n";
    }
    EmbeddedPostgres server(options_);
    server.start();
    EXPECT_EQ(query(server.conninfo(), "SELECT n FROM kept"), "42");
    server.stop();
    server.stop();
}

TEST_F(EmbeddedPostgresTest, WorksBelowAClosedFolderAndALongPath) {
    ASSERT_EQ(::chmod(root_.c_str(), 0700), 0);
    options_.data_dir = root_ / std::string(100, 'x') / "it's data";
    EmbeddedPostgres server(options_);
    server.start();
    EXPECT_EQ(query(server.conninfo(), "SELECT 1"), "1");
    EXPECT_NE(server.conninfo().find("/tmp/supd-"), std::string::npos);
}

TEST_F(EmbeddedPostgresTest, SaysWhyItCannotStart) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    for (const auto& [user, text] :
         {std::pair("no-such-user", "does not exist"), std::pair("root", "is root")}) {
        options_.run_as = user;
        EmbeddedPostgres server(options_);
        try {
            server.start();
            FAIL() << user;
        } catch (const PostgresError& error) {
            EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
        }
    }
}

TEST_F(EmbeddedPostgresTest, AnInterruptedInitdbIsRepeated) {
    fs::create_directories(options_.data_dir / "postgres.initdb" / "base");
    std::ofstream(options_.data_dir / "postgres.initdb" / "PG_VERSION") << "15\n";
    EmbeddedPostgres server(options_);
    server.start();
    EXPECT_EQ(query(server.conninfo(), "SELECT 1"), "1");
    EXPECT_FALSE(fs::exists(options_.data_dir / "postgres.initdb"));
}

}  // namespace
}  // namespace supd::db
