// Which PostgreSQL a command works on: the configured one, the embedded one of the running daemon, or the
// embedded one started for the length of the command.
#pragma once

#include "config.hpp"

#include <supd/backup/backups.hpp>
#include <supd/base/clock.hpp>
#include <supd/db/database.hpp>
#include <supd/db/embedded_postgres.hpp>

#include <memory>
#include <stop_token>
#include <string>

namespace supd::app {

class DatabaseAccess {
public:
    /// For the daemon: the embedded server is its own. Throws db::PostgresError, also when `interrupt` comes
    /// while that starts.
    static DatabaseAccess for_daemon(const Config& config, std::stop_token interrupt = {});
    /// For a command beside it. Throws db::PostgresError.
    static DatabaseAccess for_command(const Config& config);
    /// The same for what is worth nothing on a new database: an embedded one that was never made is refused
    /// (ConfigError) and not made.
    static DatabaseAccess for_existing(const Config& config);

    /// libpq connection string or URI.
    const std::string& url() const noexcept { return url_; }
    /// Applies pending migrations when this process owns the server, else checks that none is pending.
    void make_usable() const;
    /// The same for making and exchanging whole databases.
    backup::Target target() const;
    /// A connection for one command; must not outlive this object.
    std::unique_ptr<db::Connection> connect(const Config& config) const;
    /// Stops the embedded server, the hard way when it has not ended by then.
    void stop(base::Monotonic::time_point by) noexcept;

private:
    std::string url_;
    bool is_embedded_ = false;
    std::unique_ptr<db::EmbeddedPostgres> embedded_;
};

}  // namespace supd::app
