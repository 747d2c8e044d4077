// The SQL of backups.
#pragma once

#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace supd::backup::store {

struct Described {
    std::string snapshot;  ///< exported: other sessions can see what this transaction sees while it lasts
    std::string epoch;
    std::int64_t schema_version = 0;
    int postgres_version = 0;
    std::string now;  ///< RFC 3339 UTC
};
/// Wants a transaction of Access::snapshot.
Described describe(db::Transaction& tx);
/// Every table of supd with its number of rows, one line each: name, tab, number.
std::string count_rows(db::Transaction& tx);
/// Rows carry the ids of the transactions that wrote them. In another cluster those are of the future: all
/// columns of that type are set to 0, older than everything. Rewrites the tables; cheap only before there are
/// indexes.
void forget_transaction_ids(db::Transaction& tx);
/// Constraints and indexes that are not valid, by name; empty when all are.
std::string invalid_objects(db::Transaction& tx);
/// kind: created, verified. `at` empty: now.
void record_run(db::Transaction& tx, const std::string& kind, const std::string& name,
                const std::optional<std::string>& at);

}  // namespace supd::backup::store
