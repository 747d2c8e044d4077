// The SQL of backups.
#pragma once

#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace supd::backup::store {

struct Described {
    std::string epoch;
    std::int64_t schema_version = 0;
    int postgres_version = 0;
    std::string now;  ///< RFC 3339 UTC
};
Described describe(db::Transaction& tx);
/// By this name other sessions see what this transaction sees while it lasts. Wants Access::snapshot.
std::string export_snapshot(db::Transaction& tx);
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

/// A row of the deletion ledger as text, for a copy outside the database.
struct Erased {
    std::string kind;
    std::string id;
    std::string deleted_at;  ///< RFC 3339 UTC, microseconds
};
/// False in a database of before the ledger.
bool has_ledger(db::Transaction& tx);
/// Also what was written up to kLedgerOverlap before `since`: times are taken before the commit.
std::vector<Erased> erased_since(db::Transaction& tx, const std::string& since);
inline constexpr const char* kLedgerOverlap = "1 hour";
/// Returns how many were not there yet.
std::size_t add_to_ledger(db::Transaction& tx, const std::vector<Erased>& rows);
void prune_ledger(db::Transaction& tx, int session_days);

}  // namespace supd::backup::store
