#include "database_access.hpp"

#include <supd/db/migrator.hpp>
#include <supd/db/server.hpp>

namespace supd::app {
namespace {

std::unique_ptr<db::EmbeddedPostgres> start_embedded(const Config& config, std::stop_token interrupt) {
    db::EmbeddedPostgresOptions options;
    options.data_dir = config.server.data_dir;
    options.run_as = config.database.run_as;
    options.interrupt = std::move(interrupt);
    auto server = std::make_unique<db::EmbeddedPostgres>(std::move(options));
    server->start();
    return server;
}

}  // namespace

DatabaseAccess DatabaseAccess::for_daemon(const Config& config, std::stop_token interrupt) {
    DatabaseAccess access;
    if (config.embedded_database()) {
        access.embedded_ = start_embedded(config, std::move(interrupt));
        access.url_ = access.embedded_->conninfo();
        access.is_embedded_ = true;
    } else {
        access.url_ = config.database.url.reveal();
    }
    return access;
}

DatabaseAccess DatabaseAccess::for_command(const Config& config) {
    if (config.embedded_database()) {
        if (auto running = db::EmbeddedPostgres::find_running(config.server.data_dir)) {
            DatabaseAccess access;
            access.url_ = std::move(*running);
            access.is_embedded_ = true;
            return access;
        }
    }
    return for_daemon(config);
}

DatabaseAccess DatabaseAccess::for_existing(const Config& config) {
    if (config.embedded_database() && !db::EmbeddedPostgres::exists(config.server.data_dir)) {
        throw ConfigError({"DATABASE_URL is not set, and there is no embedded database in " +
                           config.server.data_dir + " (server.data_dir)"});
    }
    return for_command(config);
}

std::unique_ptr<db::Connection> DatabaseAccess::connect(const Config& config) const {
    return std::make_unique<db::Connection>(url_, std::chrono::seconds(config.database.statement_timeout_s),
                                            "supd-command");
}

void DatabaseAccess::stop(base::Monotonic::time_point by) noexcept {
    if (embedded_) embedded_->stop(by);
}

backup::Target DatabaseAccess::target() const {
    if (is_embedded_) return {url_, db::EmbeddedPostgres::admin_conninfo(url_), db::EmbeddedPostgres::kRole};
    return {url_, db::conninfo_with(url_, {{"dbname", "postgres"}}), ""};
}

void DatabaseAccess::make_usable() const {
    db::Migrator migrator(url_, db::embedded_migrations());
    if (embedded_) {
        migrator.up();
    } else {
        migrator.check_compatible();
    }
}

}  // namespace supd::app
