// `Idempotency-Key` of authenticated POST requests: the first answer is kept for 24 h and given again to the
// same key with the same body. Same key, other body: 422 `idempotency_mismatch`; still being worked on: 409
// `idempotency_in_flight`. An answer that must not be kept leaves the key with its request alone: that runs
// again.
#pragma once

#include <supd/db/database.hpp>
#include <supd/http/message.hpp>

#include <chrono>
#include <string>

namespace supd::http {

inline constexpr std::chrono::hours kIdempotencyKept{24};
/// A key without an answer for this long belongs to a request that died: the next one takes it over.
inline constexpr std::chrono::seconds kIdempotencyInFlight{60};

struct IdempotencyClaim {
    base::UserId user;
    std::string key;
    std::string route;  ///< operation
    std::string body;   ///< only its hash is stored
};

struct IdempotencyOutcome {
    enum class State { fresh, replay, in_flight, mismatch } state = State::fresh;
    Reply answer;  ///< of replay
};

class IdempotencyStore {
public:
    virtual ~IdempotencyStore() = default;
    virtual asio::awaitable<IdempotencyOutcome> begin(IdempotencyClaim claim) = 0;
    virtual asio::awaitable<void> finish(base::UserId user, std::string key, Reply answer) = 0;
    /// It is over, and its answer is not kept: the same request runs again, another one is a mismatch.
    virtual asio::awaitable<void> finish_unkept(base::UserId user, std::string key) = 0;
};

/// Table idempotency_keys. `database` must outlive it.
class PostgresIdempotencyStore final : public IdempotencyStore {
public:
    explicit PostgresIdempotencyStore(db::Database& database) : database_(database) {}
    asio::awaitable<IdempotencyOutcome> begin(IdempotencyClaim claim) override;
    asio::awaitable<void> finish(base::UserId user, std::string key, Reply answer) override;
    asio::awaitable<void> finish_unkept(base::UserId user, std::string key) override;

private:
    db::Database& database_;
};

/// For the job queue: deletes a batch of keys older than kIdempotencyKept. True when there may be more.
bool expire_idempotency_keys(db::Transaction& tx);

}  // namespace supd::http
