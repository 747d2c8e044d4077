// What Connection hides: the libpqxx connection and which statements it has prepared.
#pragma once

#include <supd/db/database.hpp>

#include <pqxx/pqxx>

#include <memory>
#include <string>
#include <unordered_set>

namespace supd::db {

struct Connection::Impl {
    std::string url;
    std::chrono::milliseconds statement_timeout;
    std::string application_name;
    std::unique_ptr<pqxx::connection> link;
    std::unordered_set<std::string> prepared;

    void open();
    void close() noexcept;
    void prepare_once(const Statement& statement);
};

/// Adds connect_timeout, application_name and options to a libpq URL or key=value string.
std::string with_session_options(const std::string& url, std::chrono::milliseconds statement_timeout,
                                 const std::string& application_name, const std::string& more = "");

}  // namespace supd::db
