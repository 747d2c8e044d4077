// The `db` pool: N blocking threads, one PostgreSQL connection each, made on first use and remade when lost.
#pragma once

#include <supd/async/blocking_pool.hpp>
#include <supd/db/transaction.hpp>
#include <supd/trace/span.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace supd::db {

namespace asio = boost::asio;

struct DatabaseOptions {
    std::string url;  ///< libpq connection string or URI
    std::size_t connections = 8;
    std::size_t queue = 2048;
    std::chrono::milliseconds max_wait{5000};           ///< in the pool's queue
    std::chrono::milliseconds statement_timeout{5000};  ///< also caps how long W can be held back
    std::string application_name = "supd";
};

enum class Access {
    read_write,  ///< READ COMMITTED
    read_only,   ///< READ COMMITTED, read only
    snapshot,    ///< REPEATABLE READ, read only: all statements see one snapshot
};

/// Something listens at `url` and takes connections: false while it is away or starting up. Blocks for up to
/// 3 s.
bool answers(const std::string& url);

/// One connection with its prepared statements; for commands and tests. One thread at a time.
class Connection {
public:
    Connection(std::string url, std::chrono::milliseconds statement_timeout, std::string application_name);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Runs fn(Transaction&) and commits when it returns. May run it again (a lost connection before COMMIT,
    /// a serialization failure or a deadlock): fn must leave its captures as they were. Throws base::Error
    /// 503 `database_unavailable` when PostgreSQL is away, `commit_unknown` when the connection broke in
    /// COMMIT.
    template <class F>
    std::invoke_result_t<F&, Transaction&> transact(Access access, F&& fn) {
        using R = std::invoke_result_t<F&, Transaction&>;
        if constexpr (std::is_void_v<R>) {
            run(access, [&](Transaction& tx) { fn(tx); });
        } else {
            std::optional<R> result;
            run(access, [&](Transaction& tx) { result.emplace(fn(tx)); });
            return std::move(*result);
        }
    }
    template <class F>
    auto transact(F&& fn) {
        return transact(Access::read_write, std::forward<F>(fn));
    }

private:
    friend class Transaction;
    struct Impl;
    void run(Access access, const std::function<void(Transaction&)>& fn);
    std::unique_ptr<Impl> impl_;
};

struct Contact {
    bool reachable = false;
    struct Schema {
        std::int64_t version = 0;  ///< the newest migration
        std::int64_t compat = 0;   ///< binaries whose newest migration is older may not run on it
    };
    std::optional<Schema> schema;  ///< not known while all connections are busy
};

class Database {
public:
    explicit Database(DatabaseOptions options);
    ~Database();

    const DatabaseOptions& options() const noexcept { return options_; }

    /// One hop out, one hop back. fn runs on a db thread; see Connection::transact for what it may do and
    /// what is thrown. Not cancelled by anything: the coroutine always waits for the outcome.
    template <class F>
    asio::awaitable<std::invoke_result_t<F&, Transaction&>> transact(Access access, F fn) {
        auto span = begin_span(co_await asio::this_coro::executor);
        auto hop = [this, access, &fn](std::size_t worker) {
            auto done = [&](Transaction& tx) {
                last_success_.store(base::Monotonic::now(), std::memory_order_relaxed);
                return fn(tx);
            };
            return connections_[worker]->transact(access, done);
        };
        try {
            co_return co_await pool_.run(std::ref(hop));
        } catch (const ConstraintViolation&) {
            throw;  // an outcome, not a fault
        } catch (...) {
            span.fail_by_exception();
            throw;
        }
    }
    template <class F>
    asio::awaitable<std::invoke_result_t<F&, Transaction&>> transact(F fn) {
        return transact(Access::read_write, std::move(fn));
    }

    std::size_t queued() const { return pool_.queued(); }
    std::size_t busy() const noexcept { return pool_.busy(); }
    /// What PostgreSQL answers now. Throws what a statement throws.
    asio::awaitable<Contact> contact();

private:
    /// Of a transaction, with its wait for a connection; under what the coroutine's executor carries.
    static trace::Span begin_span(const asio::any_io_executor& executor);

    DatabaseOptions options_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::atomic<base::Monotonic::time_point> last_success_{};
    async::BlockingPool pool_;
};

}  // namespace supd::db
