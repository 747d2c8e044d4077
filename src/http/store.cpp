#include <supd/http/idempotency.hpp>

namespace supd::http {
namespace {

// status: null = in flight, kUnkept = over without a kept answer, else that of the answer.
constexpr int kUnkept = 0;

constexpr db::Statement kClaim = {"idempotency_claim",
                                  R"(insert into idempotency_keys as k (user_id, key, route, body_hash)
       values ($1, $2, $3, sha256($4::bytea))
       on conflict (user_id, key) do update
          set route = excluded.route, body_hash = excluded.body_hash, created_at = now(),
              status = null, content_type = null, body = null
        where k.created_at < now() - $5::interval
           or (k.status is null and k.created_at < now() - $6::interval)
           or (k.status = $7 and k.route = excluded.route and k.body_hash = excluded.body_hash)
       returning 1)"};

constexpr db::Statement kFind = {
    "idempotency_find",
    R"(select route = $3 and body_hash = sha256($4::bytea), status, content_type, body
         from idempotency_keys where user_id = $1 and key = $2)"};

constexpr db::Statement kFinish = {"idempotency_finish",
                                   R"(update idempotency_keys set status = $3, content_type = $4, body = $5
        where user_id = $1 and key = $2 and status is null)"};

constexpr int kExpireKeys = 5000;  // of one transaction
constexpr db::Statement kExpire = {"idempotency_expire",
                                   "delete from idempotency_keys where ctid in (select ctid from "
                                   "idempotency_keys where created_at < now() - "
                                   "$1::interval limit $2)"};

std::string seconds_text(std::chrono::seconds seconds) {
    return std::to_string(seconds.count()) + " s";
}

IdempotencyOutcome claim_in(db::Transaction& tx, const IdempotencyClaim& claim) {
    IdempotencyOutcome out;
    const db::Bytes body{claim.body};
    const auto claimed = tx.exec(kClaim, claim.user, claim.key, claim.route, body,
                                 seconds_text(kIdempotencyKept), seconds_text(kIdempotencyInFlight), kUnkept);
    if (!claimed.empty()) return out;
    const auto found = tx.exec(kFind, claim.user, claim.key, claim.route, body);
    using State = IdempotencyOutcome::State;
    if (found.empty()) {  // expired in between
        out.state = State::in_flight;
        return out;
    }
    const auto row = found.front();
    if (!row.flag(0)) {
        out.state = State::mismatch;
    } else if (row.is_null(1) || row.integer(1) == kUnkept) {  // the latter: over in between
        out.state = State::in_flight;
    } else {
        out.state = State::replay;
        out.answer.status = static_cast<int>(row.integer(1));
        out.answer.content_type = row.text(2);
        out.answer.body = row.text(3);
    }
    return out;
}

}  // namespace

asio::awaitable<IdempotencyOutcome> PostgresIdempotencyStore::begin(IdempotencyClaim claim) {
    auto work = [&claim](db::Transaction& tx) { return claim_in(tx, claim); };
    co_return co_await database_.transact(std::ref(work));
}

asio::awaitable<void> PostgresIdempotencyStore::finish(base::UserId user, std::string key, Reply answer) {
    auto work = [&](db::Transaction& tx) {
        tx.exec(kFinish, user, key, answer.status, answer.content_type, answer.body);
    };
    co_await database_.transact(std::ref(work));
}

asio::awaitable<void> PostgresIdempotencyStore::finish_unkept(base::UserId user, std::string key) {
    auto work = [&](db::Transaction& tx) {
        tx.exec(kFinish, user, key, kUnkept, std::nullopt, std::nullopt);
    };
    co_await database_.transact(std::ref(work));
}

bool expire_idempotency_keys(db::Transaction& tx) {
    return tx.exec(kExpire, seconds_text(kIdempotencyKept), kExpireKeys).affected() >=
           static_cast<std::size_t>(kExpireKeys);
}

}  // namespace supd::http
