// The job table: consequences written in the transaction that causes them, run by workers of any process.
//
//     queue.on("mail.verify", [](db::Transaction& tx, const jobs::Job& job) { ... });      // before start()
//     db.transact([&](db::Transaction& tx) { ...; queue.enqueue(tx, "mail.verify", payload); });
//
// A job is claimed with SKIP LOCKED under a lease and a fencing token; only the holder of the current token
// can finish, fail or extend it. A handler of on() shares one transaction with the deletion of its job, so
// its effect happens exactly once; a handler of on_async() runs at least once and uses Job::fence against its
// own shadow. A failed job comes back after exponential back-off with full jitter, and is kept as dead after
// max_attempts.
#pragma once

#include <supd/db/database.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace supd::trace {
class Tracer;
}

namespace supd::jobs {

namespace asio = boost::asio;

inline constexpr std::size_t kMaxKind = 64;
inline constexpr std::size_t kMaxUniqueKey = 200;
inline constexpr std::size_t kMaxPayload = 65536;
/// 20 attempts at the default back-off span about half a day.
inline constexpr int kDefaultMaxAttempts = 20;
inline constexpr int kMaxAttempts = 100;

struct Job {
    std::int64_t id = 0;
    std::string kind;
    std::string payload;  ///< JSON text as enqueued
    int attempt = 1;      ///< 1 = the first
    int max_attempts = kDefaultMaxAttempts;
    std::int64_t fence = 0;  ///< larger than that of every earlier holder: hand it to what you write to
};

struct EnqueueOptions {
    std::chrono::milliseconds run_after{0};  ///< from now, by the database's clock
    /// While a job of this kind and key waits, the call updates that one (newest payload, earliest time)
    /// instead of adding a second. Callers with the same key wait for each other's transactions.
    std::string unique_key;
    int max_attempts = kDefaultMaxAttempts;
};

/// Thrown by a handler when trying again is pointless: the job is dead at once. `code` as in last_error.
struct Permanent : std::exception {
    explicit Permanent(std::string reason) : code(std::move(reason)) {}
    const char* what() const noexcept override { return code.c_str(); }
    std::string code;
};

/// What became of one run of a job; also the `outcome` label.
enum class Outcome { done, retried, dead, fenced, released };
std::string_view name_of(Outcome outcome) noexcept;

/// Counts as of the last look (at most kDepthEvery old), capped at kDepthCap each.
struct Depth {
    std::int64_t ready = 0;
    std::int64_t running = 0;
    std::int64_t dead = 0;
    double oldest_age_s = 0;  ///< how long the longest-waiting due job has been due
};
inline constexpr std::chrono::seconds kDepthEvery{15};
inline constexpr std::int64_t kDepthCap = 100000;

/// Where the numbers go; called on the queue's thread.
class Observer {
public:
    virtual ~Observer() = default;
    virtual void job_ended(std::string_view kind, Outcome outcome, std::chrono::duration<double> took) = 0;
    virtual void depth(const Depth& depth) = 0;
};

struct Options {
    std::size_t concurrency = 4;  ///< jobs at once in this process; keep below the db pool's connections
    std::chrono::milliseconds lease{60000};
    /// How often the table is read when nothing is known to be due: other processes' jobs and lost leases.
    /// The pause is drawn from [idle_poll, 1.5 idle_poll].
    std::chrono::milliseconds idle_poll{5000};
    std::chrono::milliseconds backoff_base{1000};
    std::chrono::milliseconds backoff_cap{3600000};
    std::string worker;               ///< shown in leased_by; empty = host and process id
    std::function<double()> random;   ///< [0, 1); empty = a generator seeded by the system
    trace::Tracer* tracer = nullptr;  ///< each run of a job or a schedule is a span; null = none
};

/// Full jitter: random [0,1) of min(cap, base * 2^(attempt - 1)).
std::chrono::milliseconds backoff(int attempt, std::chrono::milliseconds base, std::chrono::milliseconds cap,
                                  double random) noexcept;

/// Writes a job without a Queue at hand (commands, features whose jobs another process runs).
/// Throws std::invalid_argument for what the table would refuse.
void enqueue(db::Transaction& tx, std::string_view kind, std::string_view payload,
             const EnqueueOptions& options = {});

class Queue {
public:
    using Handler = std::function<void(db::Transaction&, const Job&)>;
    using AsyncHandler = std::function<asio::awaitable<void>(Job)>;
    /// True: there is more of it, so it is due again at once.
    using Periodic = std::function<bool(db::Transaction&)>;

    /// `db` and `observer` (may be null) outlive the queue.
    Queue(db::Database& db, Options options, Observer* observer = nullptr);
    /// After stop() has returned, or without start().
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    /// SQL only: runs on a db thread, in the transaction that deletes the job. May be run again before it
    /// commits (see Connection::transact). Bounded by statement_timeout per statement: work in batches.
    void on(std::string kind, Handler handler);
    /// Anything else, on the queue's executor; must not block. The lease is renewed while it runs.
    void on_async(std::string kind, AsyncHandler handler);
    /// Runs fn once per interval over all processes (first run at once), in one transaction with its
    /// schedule. A failed run comes back after the back-off of its failures, at most the interval.
    void add_periodic(std::string name, std::chrono::milliseconds interval, Periodic fn);

    /// Adds the job to the caller's transaction; when that commits, this process looks at once. Any thread.
    void enqueue(db::Transaction& tx, std::string_view kind, std::string_view payload,
                 const EnqueueOptions& options = {});
    /// "There may be work": any thread, cheap, coalesced.
    void nudge();

    /// Begins to work. `executor` must be run by one thread.
    void start(asio::any_io_executor executor);
    /// Takes no new work, waits up to `grace` for what runs, cancels the rest and gives its leases back. Any
    /// thread.
    asio::awaitable<void> stop(std::chrono::milliseconds grace);

    /// Any thread.
    Depth depth() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace supd::jobs
