// A PostgreSQL of the test binary's own: made once per process in a temporary folder, reached by unix socket
// only, gone with the process. Tests take a fresh database each, so they never see each other's rows.
//
//     const auto url = support::migrated_database();            // all of migrations/, in order
//     const auto url = support::PrivatePostgres::instance().fresh_database();   // empty
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <mutex>
#include <string>

namespace support {

class PrivatePostgres {
public:
    /// Started on first use (about a second); stopped when the process ends. Throws std::runtime_error.
    static PrivatePostgres& instance();
    PrivatePostgres(const PrivatePostgres&) = delete;
    PrivatePostgres& operator=(const PrivatePostgres&) = delete;

    /// Connection URI of a new database, empty or a copy of `source`. Any thread.
    std::string fresh_database(const std::string& source = "template1");
    std::string url_of(const std::string& database) const;
    const std::filesystem::path& socket_folder() const noexcept { return folder_; }

private:
    PrivatePostgres();
    ~PrivatePostgres();
    void start();
    void stop() noexcept;

    std::filesystem::path folder_;
    std::filesystem::path programs_;
    pid_t server_ = -1;
    std::mutex mutex_;
    int made_ = 0;
};

/// Connection URI of a new database with every migrations/*.up.sql applied in the order of their names.
std::string migrated_database();

}  // namespace support
