#include "connection.hpp"

#include <supd/base/log.hpp>
#include <supd/db/database.hpp>
#include <supd/trace/carrier.hpp>

#include <libpq-fe.h>

#include <map>
#include <utility>

namespace supd::db {
namespace {

constexpr int kAttempts = 3;
constexpr const char* kConnectTimeout = "3";
constexpr std::chrono::seconds kRecently{10};
constexpr const char* kReadOnly = "25006";
// A host that vanishes without a word is noticed within seconds, not after the kernel's hours.
constexpr std::pair<const char*, const char*> kLiveness[] = {{"keepalives_idle", "10"},
                                                             {"keepalives_interval", "5"},
                                                             {"keepalives_count", "3"},
                                                             {"tcp_user_timeout", "15000"}};
constexpr Statement kSchema{"schema", "select max(version), max(compat) from schema_migrations"};

std::string conninfo_value(std::string_view value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

// libpqxx 6 does not pass on the constraint's name. PostgreSQL ends the first line of its message with it, in
// any language; what follows may quote rows.
std::string constraint_of(std::string_view text) {
    constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789_";
    text = text.substr(0, text.find('\n'));
    const auto last = text.find_last_of(kNameCharacters);
    if (last == std::string_view::npos) return {};
    const auto before = text.find_last_not_of(kNameCharacters, last);
    const auto first = before == std::string_view::npos ? 0 : before + 1;
    return std::string(text.substr(first, last - first + 1));
}

base::Error database_away() {
    return base::unavailable("database_unavailable", "The database cannot be reached right now.");
}

}  // namespace

bool answers(const std::string& url) {
    const char* const names[] = {"dbname", "connect_timeout", nullptr};
    const char* const values[] = {url.c_str(), kConnectTimeout, nullptr};
    const auto found = PQpingParams(names, values, 1);
    return found != PQPING_NO_RESPONSE && found != PQPING_REJECT;
}

std::string with_session_options(const std::string& url, std::chrono::milliseconds statement_timeout,
                                 const std::string& application_name, const std::string& more) {
    char* problem = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &problem);
    if (!options) {
        const std::string text = "the database URL is not a valid connection string";
        if (problem) PQfreemem(problem);
        throw std::invalid_argument(text);
    }
    std::map<std::string, std::string> all{{"connect_timeout", kConnectTimeout}};
    all.insert(std::begin(kLiveness), std::end(kLiveness));
    std::string given;  // the operator's own come first and lose to ours
    for (auto* option = options; option->keyword; ++option) {
        if (!option->val) continue;
        if (std::string_view(option->keyword) == "options")
            given = std::string(option->val) + " ";
        else
            all[option->keyword] = option->val;
    }
    PQconninfoFree(options);
    all["application_name"] = application_name;
    const auto ms = std::to_string(statement_timeout.count());
    std::string out;
    for (const auto& [keyword, value] : all)
        out += keyword + "=" + conninfo_value(value) + " ";
    out += "options=" + conninfo_value(given + "-c statement_timeout=" + ms +
                                       " -c idle_in_transaction_session_timeout=" + ms + " -c lock_timeout=" +
                                       ms + " -c timezone=UTC -c client_min_messages=warning" + more);
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
        } catch (const pqxx::transaction_rollback&) {  // serialization failure, deadlock
            if (attempt >= kAttempts) throw base::unavailable("contention", "Too many changes at once.");
        } catch (const pqxx::sql_error& e) {
            const std::string& state = e.sqlstate();
            if (state.starts_with("23")) throw ConstraintViolation(state, constraint_of(e.what()));
            // Shutdown, crash recovery, starting up; 25006: this server has become a standby.
            if (state.starts_with("57P") || state.starts_with("08") ||
                (state == kReadOnly && access == Access::read_write)) {
                impl_->close();
                if (committing && access == Access::read_write)
                    throw base::unavailable("commit_unknown",
                                            "It is not known whether the change was stored; ask again.");
                if (attempt >= 2) throw database_away();
                continue;
            }
            if (state == "57014" || state == "55P03")
                throw base::unavailable("database_timeout", "The database took too long.");
            if (state.starts_with("53"))
                throw base::unavailable("database_full", "The database has no room left.");
            base::log::error("sql_error", {{"sqlstate", state}});
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

trace::Span Database::begin_span(const asio::any_io_executor& executor) {
    auto span = trace::child_of(trace::carried(executor), trace::Kind::client, "postgresql transaction");
    if (span) span.set("db.system.name", "postgresql");
    return span;
}

asio::awaitable<Contact> Database::contact() {
    auto ask = [](Transaction& tx) {
        const auto rows = tx.exec(kSchema);
        Contact::Schema schema;
        schema.version = rows.front().maybe_integer(0).value_or(0);
        schema.compat = rows.front().maybe_integer(1).value_or(0);
        return schema;
    };
    Contact out;
    try {
        out.schema = co_await transact(Access::read_only, ask);
        out.reachable = true;
    } catch (const base::Error& error) {
        // Busy is not away, as long as something comes through.
        out.reachable =
            error.code() == "overloaded" && base::Monotonic::now() - last_success_.load() < kRecently;
    }
    co_return out;
}

}  // namespace supd::db
