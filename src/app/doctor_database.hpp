// What the doctor reads of a database, and how it judges each.
#pragma once

#include "doctor.hpp"

#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace supd::app {

struct DatabaseFacts {
    bool embedded = false;  ///< the private one: its role and limits are supd's own doing
    std::int64_t version_num = 0;
    std::string version;
    std::string fsync, synchronous_commit, full_page_writes;
    std::string encoding, data_checksums, autovacuum;
    bool standby = false;
    bool read_only = false;
    std::string role;
    bool superuser = false;
    bool bypasses_rls = false;
    bool sees_all = false;  ///< other roles' sessions and replication, too
    bool may_create = false;
    std::int64_t tables = 0;
    std::int64_t tables_out_of_reach = 0;
    double w_age_s = 0;  ///< of the oldest transaction that has written
    double longest_s = 0;
    std::string longest;  ///< whose that is
    std::int64_t prepared = 0;
    std::int64_t connections = 0;
    std::int64_t connections_max = 0;  ///< without those reserved for superusers
    std::string synchronous_standbys;  ///< the setting
    std::int64_t standbys = 0;
    std::int64_t standbys_in_step = 0;  ///< streaming
    std::int64_t standbys_synchronous = 0;
    std::int64_t idle_slots = 0;
    std::int64_t idle_slot_bytes = 0;    ///< WAL that the worst of them keeps
    double clock_ahead_s = 0;            ///< the database's clock minus ours
    std::optional<double> backup_age_s;  ///< none: never made
    std::optional<double> proof_age_s;
    bool backups_known = false;  ///< the schema records backups at all
};

struct DatabaseCheck {
    const char* name;
    Judgement (*judge)(const DatabaseFacts& facts, const Config& config);
};
std::span<const DatabaseCheck> database_checks();

/// Everything but `embedded` and `clock_ahead_s`; for the latter it returns the database's time, milliseconds
/// since the epoch.
std::int64_t read_database_facts(db::Transaction& tx, DatabaseFacts& facts);

}  // namespace supd::app
