#include "pq.hpp"

#include <array>

namespace supd::db {
namespace {

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text;
}

void ignore_notice(void*, const PGresult*) {}

constexpr const char* kConnectTimeout = "5";  // seconds; what the connection string says comes later and wins

PGconn* connect(const std::string& conninfo) {
    const std::array<const char*, 3> keywords{"connect_timeout", "dbname", nullptr};
    const std::array<const char*, 3> values{kConnectTimeout, conninfo.c_str(), nullptr};
    return PQconnectdbParams(keywords.data(), values.data(), 1);
}

}  // namespace

PqSession::PqSession(const std::string& conninfo) : connection_(connect(conninfo)) {
    if (PQstatus(connection_.get()) != CONNECTION_OK)
        throw PqError("", trimmed(PQerrorMessage(connection_.get())));
    PQsetNoticeReceiver(connection_.get(), &ignore_notice, nullptr);
}

std::unique_ptr<PGresult, PqClear> PqSession::checked(PGresult* raw) {
    std::unique_ptr<PGresult, PqClear> result(raw);
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return result;
    const char* state = result ? PQresultErrorField(result.get(), PG_DIAG_SQLSTATE) : nullptr;
    throw PqError(state != nullptr ? state : "", trimmed(PQerrorMessage(connection_.get())));
}

PqSession::Table PqSession::query(const std::string& sql, const std::vector<std::string>& params) {
    std::vector<const char*> values;
    for (const auto& param : params)
        values.push_back(param.c_str());
    const auto result = checked(PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()),
                                             nullptr, values.data(), nullptr, nullptr, 0));
    Table table;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        auto& cells = table.emplace_back();
        for (int column = 0; column < PQnfields(result.get()); ++column) {
            cells.emplace_back(PQgetvalue(result.get(), row, column));
        }
    }
    return table;
}

void PqSession::script(const std::string& sql) {
    checked(PQexec(connection_.get(), sql.c_str()));
}

}  // namespace supd::db
