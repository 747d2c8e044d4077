// libpq with owners, for what libpqxx does not do: scripts of many statements, SQLSTATEs, sessions of one
// command.
#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace supd::db {

struct PqFinish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct PqClear {
    void operator()(PGresult* result) const { PQclear(result); }
};

/// The server refused a statement, or the connection is gone (sqlstate empty).
class PqError : public std::runtime_error {
public:
    PqError(std::string sqlstate, const std::string& text)
        : std::runtime_error(text), sqlstate_(std::move(sqlstate)) {}
    const std::string& sqlstate() const noexcept { return sqlstate_; }

private:
    std::string sqlstate_;
};

/// One blocking session; one thread at a time.
class PqSession {
public:
    explicit PqSession(const std::string& conninfo);

    /// Rows of text; null is "".
    using Table = std::vector<std::vector<std::string>>;
    Table query(const std::string& sql, const std::vector<std::string>& params = {});
    /// Any number of statements, no parameters.
    void script(const std::string& sql);
    bool in_transaction() const { return PQtransactionStatus(connection_.get()) != PQTRANS_IDLE; }

private:
    std::unique_ptr<PGresult, PqClear> checked(PGresult* result);

    std::unique_ptr<PGconn, PqFinish> connection_;
};

}  // namespace supd::db
