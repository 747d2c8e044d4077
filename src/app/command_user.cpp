#include "commands.hpp"
#include "database_access.hpp"

#include <supd/accounts/user_commands.hpp>

#include <iostream>

namespace supd::app {
namespace {

// The server (when this command started it) outlives the connection.
struct Opened {
    explicit Opened(const Config& config) : access(DatabaseAccess::for_command(config)) {
        access.make_usable();
        connection = access.connect(config);
    }
    DatabaseAccess access;
    std::unique_ptr<db::Connection> connection;
};

accounts::PasswordSource password_of(const Config& config, const UserOptions& options) {
    accounts::PasswordSource source;
    if (options.password_stdin) source.from = &std::cin;
    source.profile = crypto::password_profile(config.auth.password_hash);
    return source;
}

}  // namespace

int create_user(const Config& config, const UserOptions& options) {
    const Opened opened(config);
    return accounts::create_user(*opened.connection, options.name, options.admin,
                                 password_of(config, options), std::cout, std::cerr);
}

int list_users(const Config& config, const UserOptions& options) {
    const Opened opened(config);
    return accounts::list_users(*opened.connection, options.json, std::cout, std::cerr);
}

int disable_user(const Config& config, const UserOptions& options) {
    const Opened opened(config);
    return accounts::disable_user(*opened.connection, options.name, std::cout, std::cerr);
}

int enable_user(const Config& config, const UserOptions& options) {
    const Opened opened(config);
    return accounts::enable_user(*opened.connection, options.name, std::cout, std::cerr);
}

int reset_password(const Config& config, const UserOptions& options) {
    const Opened opened(config);
    return accounts::reset_password(*opened.connection, options.name, password_of(config, options), std::cout,
                                    std::cerr);
}

int make_admin(const Config& config, const UserOptions& options) {
    const Opened opened(config);
    return accounts::make_admin(*opened.connection, options.name, std::cout, std::cerr);
}

}  // namespace supd::app
