#include "connection.hpp"

#include <supd/db/database.hpp>

#include <libpq-fe.h>
#include <spdlog/spdlog.h>

namespace supd::db {
namespace {

constexpr int kAttempts = 3;
constexpr const char* kConnectTimeout = "3";
constexpr Statement kSelectOne{"select_one", "select 1"};

std::string conninfo_value(std::string_view value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string constraint_of(const std::string& text) {
    // libpqxx 6 does not pass on the constraint's name; PostgreSQL's message quotes it last.
    const auto at = text.find("constraint \"");
    if (at == std::string::npos) return {};
    const auto from = at + 12;
    return text.substr(from, text.find('"', from) - from);
}

base::Error database_away() {
    return base::unavailable("database_unavailable", "The database cannot be reached right now.");
}

}  // namespace

std::string with_session_options(const std::string& url, std::chrono::milliseconds statement_timeout,
                                 const std::string& application_name) {
    char* problem = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &problem);
    if (!options) {
        const std::string text = "the database URL is not a valid connection string";
        if (problem) PQfreemem(problem);
        throw std::invalid_argument(text);
    }
    std::string out;
    bool has_timeout = false;
    for (auto* option = options; option->keyword; ++option) {
        if (!option->val) continue;
        const std::string_view keyword = option->keyword;
        if (keyword == "application_name" || keyword == "options") continue;
        if (keyword == "connect_timeout") has_timeout = true;
        out += std::string(keyword) + "=" + conninfo_value(option->val) + " ";
    }
    PQconninfoFree(options);
    if (!has_timeout) out += std::string("connect_timeout=") + kConnectTimeout + " ";
    const auto ms = std::to_string(statement_timeout.count());
    out += "application_name=" + conninfo_value(application_name) + " options=" +
           conninfo_value("-c statement_timeout=" + ms + " -c idle_in_transaction_session_timeout=" + ms +
                          " -c lock_timeout=" + ms + " -c timezone=UTC -c client_min_messages=warning");
    return out;
}

void Connection::Impl::open() {
    if (link) return;
    link = std::make_unique<pqxx::connection>(with_session_options(url, statement_timeout, application_name));
    prepared.clear();
}

void Connection::Impl::close() noexcept {
    link.reset();
    prepared.clear();
}

void Connection::Impl::prepare_once(const Statement& statement) {
    if (!prepared.insert(statement.name).second) return;
    link->prepare(statement.name, statement.sql);
}

Connection::Connection(std::string url, std::chrono::milliseconds statement_timeout,
                       std::string application_name)
    : impl_(std::make_unique<Impl>()) {
    impl_->url = std::move(url);
    impl_->statement_timeout = statement_timeout;
    impl_->application_name = std::move(application_name);
}

Connection::~Connection() = default;

void Connection::run(Access access, const std::function<void(Transaction&)>& fn) {
    for (int attempt = 1;; ++attempt) {
        bool committing = false;
        try {
            impl_->open();
            auto body = [&](auto& work) {
                Transaction tx(*this, work);
                fn(tx);
                committing = true;
                work.commit();
                for (const auto& wake : tx.after_commit_)
                    wake();
            };
            switch (access) {
                case Access::read_write: {
                    pqxx::transaction<pqxx::read_committed, pqxx::read_write> work(*impl_->link);
                    body(work);
                    break;
                }
                case Access::read_only: {
                    pqxx::transaction<pqxx::read_committed, pqxx::read_only> work(*impl_->link);
                    body(work);
                    break;
                }
                case Access::snapshot: {
                    pqxx::transaction<pqxx::repeatable_read, pqxx::read_only> work(*impl_->link);
                    body(work);
                    break;
                }
            }
            return;
        } catch (const pqxx::in_doubt_error&) {
            impl_->close();
            if (access != Access::read_write && attempt < kAttempts) continue;
            throw base::unavailable("commit_unknown",
                                    "It is not known whether the change was stored; ask again.");
        } catch (const pqxx::broken_connection&) {
            impl_->close();
            if (committing && access == Access::read_write)
                throw base::unavailable("commit_unknown",
                                        "It is not known whether the change was stored; ask again.");
            if (attempt >= 2) throw database_away();
        } catch (const pqxx::serialization_failure&) {
            if (attempt >= kAttempts) throw base::unavailable("contention", "Too many changes at once.");
        } catch (const pqxx::sql_error& e) {
            const std::string& state = e.sqlstate();
            if (state.starts_with("23")) throw ConstraintViolation(state, constraint_of(e.what()));
            if (state.starts_with("57P") ||
                state.starts_with("08")) {  // shutdown, crash recovery, starting up
                impl_->close();
                if (committing && access == Access::read_write)
                    throw base::unavailable("commit_unknown",
                                            "It is not known whether the change was stored; ask again.");
                if (attempt >= 2) throw database_away();
                continue;
            }
            if (state == "40001" || state == "40P01") {
                if (attempt >= kAttempts) throw base::unavailable("contention", "Too many changes at once.");
                continue;
            }
            if (state == "57014" || state == "55P03")
                throw base::unavailable("database_timeout", "The database took too long.");
            if (state.starts_with("53"))
                throw base::unavailable("database_full", "The database has no room left.");
            spdlog::error("sql error {}", state);
            throw;
        }
    }
}

Database::Database(DatabaseOptions options)
    : options_(std::move(options)), pool_("db", {options_.connections, options_.queue, options_.max_wait}) {
    for (std::size_t i = 0; i < options_.connections; ++i)
        connections_.push_back(std::make_unique<Connection>(
            options_.url, options_.statement_timeout, options_.application_name + "-" + std::to_string(i)));
}

Database::~Database() = default;

asio::awaitable<bool> Database::reachable() {
    auto ask = [](Transaction& tx) { return !tx.exec(kSelectOne).empty(); };
    try {
        co_return co_await transact(Access::read_only, ask);
    } catch (const base::Error&) {
        co_return false;
    }
}

}  // namespace supd::db
