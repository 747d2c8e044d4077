#include "doctor_database.hpp"

#include "database_access.hpp"

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>
#include <supd/db/embedded_postgres.hpp>
#include <supd/db/migrator.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace supd::app {
namespace {

constexpr std::int64_t kOldestVersion = 150'000;
constexpr std::int64_t kWriterConnections = 2;
constexpr double kWAgeWarns = 10;  // seconds; cursors stand still meanwhile
constexpr double kWAgeFails = 60;
constexpr double kLongTransaction = 300;  // vacuum cannot clean up behind it
constexpr double kClockWarns = 1;
constexpr double kClockFails = 30;
constexpr double kBackupWarns = 26.0 * 3600;  // a daily one, and two hours to make it
constexpr double kBackupFails = 72.0 * 3600;
constexpr double kProofWarns = 8.0 * 86'400;    // a weekly one
constexpr std::int64_t kSlotWarns = 1LL << 30;  // bytes of WAL
constexpr std::int64_t kSlotFails = 16LL << 30;

std::string seconds(double value) {
    const auto whole = static_cast<std::int64_t>(std::llround(value));
    if (whole < 180) return std::to_string(whole) + " s";
    if (whole < 2 * 3600) return std::to_string(whole / 60) + " min";
    return std::to_string(whole / 3600) + " h";
}

// PostgreSQL hides what other roles' sessions do.
std::string among(const DatabaseFacts& facts) {
    return facts.sees_all ? "" : ", of this role's own sessions (GRANT pg_monitor shows all)";
}

Judgement must_be_on(const std::string& name, const std::string& value, const std::string& price) {
    if (value == "on") return all_well(name + " = on");
    return fails(name + " = " + value + ": " + price,
                 "ALTER SYSTEM SET " + name + " = on; SELECT pg_reload_conf();");
}

Judgement judge_version(const DatabaseFacts& facts, const Config&) {
    const std::string found = "PostgreSQL " + facts.version;
    if (facts.version_num >= kOldestVersion) return all_well(found);
    return fails(found + " is older than 15", "upgrade PostgreSQL to 15 or later");
}

Judgement judge_fsync(const DatabaseFacts& facts, const Config&) {
    return must_be_on("fsync", facts.fsync, "a power failure loses messages and can ruin the database");
}

Judgement judge_full_page_writes(const DatabaseFacts& facts, const Config&) {
    return must_be_on("full_page_writes", facts.full_page_writes, "a power failure can ruin pages");
}

Judgement judge_synchronous_commit(const DatabaseFacts& facts, const Config&) {
    const auto& value = facts.synchronous_commit;
    if (value == "on" || value == "remote_apply") return all_well("synchronous_commit = " + value);
    const std::string mend =
        "set it to on for the server, the database and the role (ALTER ROLE ... RESET synchronous_commit)";
    if (value == "off")
        return fails("synchronous_commit = off: acknowledged messages are lost in a crash", mend);
    return warns("synchronous_commit = " + value + ": a failover may lose acknowledged messages", mend);
}

Judgement judge_encoding(const DatabaseFacts& facts, const Config&) {
    if (facts.encoding == "UTF8") return all_well("UTF8");
    return fails("the encoding is " + facts.encoding + ", texts cannot be stored",
                 "make the database anew with ENCODING 'UTF8' TEMPLATE template0");
}

Judgement judge_checksums(const DatabaseFacts& facts, const Config&) {
    if (facts.data_checksums == "on") return all_well("data_checksums = on");
    return warns("data_checksums = off: a disk that lies is not noticed",
                 "stop PostgreSQL and run pg_checksums --enable");
}

Judgement judge_autovacuum(const DatabaseFacts& facts, const Config&) {
    if (facts.autovacuum == "on") return all_well("autovacuum = on");
    return fails("autovacuum = " + facts.autovacuum + ": tables grow without bound",
                 "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();");
}

Judgement judge_writable(const DatabaseFacts& facts, const Config&) {
    if (facts.standby)
        return fails("this server is a standby",
                     "point database.url to the primary, e.g. with "
                     "?target_session_attrs=read-write and all hosts");
    if (facts.read_only)
        return fails("default_transaction_read_only = on",
                     "reset it for the server, the database and the role");
    return all_well("a primary that takes writes");
}

Judgement judge_role(const DatabaseFacts& facts, const Config&) {
    if (facts.embedded) return not_looked_at("the private PostgreSQL is reached by its socket only");
    const std::string name = "role \"" + facts.role + "\"";
    if (facts.superuser)
        return fails(name + " is a superuser: who gets into supd owns the whole server",
                     "CREATE ROLE supd LOGIN PASSWORD '...'; make it the owner of the database and its "
                     "tables, and use it in database.url");
    if (facts.bypasses_rls)
        return warns(name + " has BYPASSRLS, which supd does not need",
                     "ALTER ROLE \"" + facts.role + "\" NOBYPASSRLS");
    return all_well(name + " is no superuser");
}

Judgement judge_privileges(const DatabaseFacts& facts, const Config&) {
    if (!facts.may_create)
        return fails("role \"" + facts.role + "\" may not create tables, so migrations fail",
                     "GRANT USAGE, CREATE ON SCHEMA public TO \"" + facts.role + "\"");
    if (facts.tables_out_of_reach > 0)
        return fails(std::to_string(facts.tables_out_of_reach) + " of " + std::to_string(facts.tables) +
                         " tables cannot be read and written",
                     "make \"" + facts.role + "\" their owner: REASSIGN OWNED BY <former role> TO \"" +
                         facts.role + "\"");
    return all_well("may create tables, and reads and writes all " + std::to_string(facts.tables));
}

Judgement judge_w_age(const DatabaseFacts& facts, const Config&) {
    const std::string found = "the oldest writing transaction is " + seconds(facts.w_age_s) + " old";
    const std::string mend =
        "end it: SELECT pid, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start; "
        "then pg_terminate_backend(pid)";
    if (facts.prepared > 0)
        return fails(std::to_string(facts.prepared) +
                         " prepared transactions: cursors cannot move past them and nobody ends them",
                     "see pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED each, and set "
                     "max_prepared_transactions = 0");
    if (facts.w_age_s >= kWAgeFails) return fails(found + ": cursors cannot move past it", mend);
    if (facts.w_age_s >= kWAgeWarns) return warns(found + ": cursors cannot move past it", mend);
    return all_well((facts.w_age_s > 0 ? found : "no transaction is writing now") + among(facts));
}

Judgement judge_long_transactions(const DatabaseFacts& facts, const Config&) {
    if (facts.longest_s < kLongTransaction) return all_well("none is older than 5 min" + among(facts));
    return warns(
        "one of " + facts.longest + " is " + seconds(facts.longest_s) + " old: dead rows behind it stay",
        "end it, and set idle_in_transaction_session_timeout for that role");
}

Judgement judge_connections(const DatabaseFacts& facts, const Config& config) {
    const auto own = config.database.pool_size + kWriterConnections;
    const std::string found = std::to_string(facts.connections) + " of " +
                              std::to_string(facts.connections_max) +
                              " connections in use, one process needs " + std::to_string(own);
    if (own > facts.connections_max)
        return fails(found, "raise max_connections, or lower database.pool_size");
    if (facts.connections + own > facts.connections_max)
        return warns(found + ": one more process finds none",
                     "raise max_connections, or lower "
                     "database.pool_size");
    return all_well(found);
}

Judgement judge_standbys(const DatabaseFacts& facts, const Config&) {
    if (!facts.sees_all)
        return not_looked_at("the role does not see them: GRANT pg_monitor TO \"" + facts.role + "\"");
    if (!facts.synchronous_standbys.empty() && facts.standbys_synchronous == 0)
        return fails("synchronous_standby_names is set and no synchronous standby is connected: commits hang",
                     "bring the standby back, or reset synchronous_standby_names");
    const std::string found = std::to_string(facts.standbys) + " standbys, " +
                              std::to_string(facts.standbys_in_step) + " streaming";
    if (facts.idle_slot_bytes >= kSlotWarns) {
        const std::string slots = std::to_string(facts.idle_slots) + " idle replication slots keep " +
                                  human_bytes(static_cast<double>(facts.idle_slot_bytes)) + " of WAL";
        const std::string mend =
            "bring back what uses them or SELECT pg_drop_replication_slot(slot_name); set "
            "max_slot_wal_keep_size";
        return facts.idle_slot_bytes >= kSlotFails ? fails(slots, mend) : warns(slots, mend);
    }
    if (facts.standbys == 0) return all_well("none");
    if (facts.standbys_in_step < facts.standbys)
        return warns(found, "see pg_stat_replication, and the log of the standby that lags");
    return all_well(found);
}

Judgement judge_clock(const DatabaseFacts& facts, const Config&) {
    const double off = std::abs(facts.clock_ahead_s);
    if (off < kClockWarns) return all_well("the database's clock and ours agree within 1 s");
    const std::string found = "the database's clock is " + seconds(off) +
                              (facts.clock_ahead_s > 0 ? " ahead of ours" : " behind ours");
    const std::string mend = "run chrony or systemd-timesyncd on both machines";
    return off >= kClockFails ? fails(found + ": tokens expire at the wrong time", mend) : warns(found, mend);
}

Judgement judge_backup(const DatabaseFacts& facts, const Config&) {
    if (!facts.backups_known) return not_looked_at("this schema records no backups");
    const std::string mend = "run `supd backup` from a timer, and look at its last output";
    if (!facts.backup_age_s) return warns("no backup was ever made", mend);
    const std::string found = "the last one is " + seconds(*facts.backup_age_s) + " old";
    if (*facts.backup_age_s >= kBackupFails) return fails(found, mend);
    if (*facts.backup_age_s >= kBackupWarns) return warns(found, mend);
    return all_well(found);
}

Judgement judge_proof(const DatabaseFacts& facts, const Config&) {
    if (!facts.backups_known || !facts.backup_age_s) return not_looked_at("there is no backup");
    const std::string mend = "run `supd backup verify` from a weekly timer";
    if (!facts.proof_age_s) return warns("no backup was ever restored to try it", mend);
    const std::string found = "one was last restored " + seconds(*facts.proof_age_s) + " ago";
    return *facts.proof_age_s >= kProofWarns ? warns(found, mend) : all_well(found);
}

constexpr std::array kChecks = {
    DatabaseCheck{"database.version", judge_version},
    DatabaseCheck{"database.writable", judge_writable},
    DatabaseCheck{"database.fsync", judge_fsync},
    DatabaseCheck{"database.synchronous_commit", judge_synchronous_commit},
    DatabaseCheck{"database.full_page_writes", judge_full_page_writes},
    DatabaseCheck{"database.encoding", judge_encoding},
    DatabaseCheck{"database.checksums", judge_checksums},
    DatabaseCheck{"database.autovacuum", judge_autovacuum},
    DatabaseCheck{"database.role", judge_role},
    DatabaseCheck{"database.privileges", judge_privileges},
    DatabaseCheck{"database.connections", judge_connections},
    DatabaseCheck{"database.age_of_w", judge_w_age},
    DatabaseCheck{"database.long_transactions", judge_long_transactions},
    DatabaseCheck{"database.standbys", judge_standbys},
    DatabaseCheck{"clock.database", judge_clock},
    DatabaseCheck{"backup.age", judge_backup},
    DatabaseCheck{"backup.proof", judge_proof},
};

Finding examine_migrations(const std::string& url) {
    const char* name = "database.migrations";
    try {
        db::Migrator migrator(url, db::embedded_migrations());
        const auto rows = migrator.status();
        const auto having = [&](db::MigrationState state) {
            return std::ranges::count(rows, state, &db::MigrationStatus::state);
        };
        if (const auto changed = having(db::MigrationState::changed); changed > 0)
            return {name, fails(std::to_string(changed) + " applied migrations differ from this binary's",
                                "use the binary that applied them; see `supd migrate status`")};
        if (const auto pending = having(db::MigrationState::pending); pending > 0)
            return {name, warns(std::to_string(pending) + " are pending",
                                "`supd migrate up`, or start the daemon: it applies them")};
        if (const auto newer = having(db::MigrationState::newer); newer > 0) {
            migrator.check_compatible();
            return {name,
                    warns("the schema is " + std::to_string(newer) + " migrations newer than this binary",
                          "finish the upgrade of all processes")};
        }
        return {name, all_well("all " + std::to_string(rows.size()) + " are applied")};
    } catch (const db::MigrationError& error) {
        return {name, fails(error.what(), "use a binary that fits the schema")};
    }
}

// What libpq says of a database that cannot be had; it names no password.
std::string reason(const std::string& url, std::string fallback) {
    try {
        db::Migrator(url, db::embedded_migrations()).status();
    } catch (const db::MigrationError& error) {
        return error.what();
    }
    return fallback;
}

// Where the database is; nullopt: the private one is not running, and a look must not start it.
std::optional<std::string> running_database(const Config& config) {
    if (!config.embedded_database()) return config.database.url.reveal();
    return db::EmbeddedPostgres::find_running(config.server.data_dir);
}

}  // namespace

std::span<const DatabaseCheck> database_checks() {
    return kChecks;
}

Findings examine_database(const Patient& patient) {
    const auto& config = patient.config();
    const char* reach = "database.reachable";
    Findings out;
    std::optional<std::string> url;
    try {
        url = running_database(config);
        if (!url)
            return {
                {reach, not_looked_at("the private PostgreSQL runs with the daemon, which is not running")}};
        db::Connection connection(*url, std::chrono::seconds(config.database.statement_timeout_s),
                                  "supd-doctor");
        DatabaseFacts facts;
        std::int64_t theirs = 0;
        const auto before = base::wall_clock_ms();
        connection.transact(db::Access::read_only,
                            [&](db::Transaction& tx) { theirs = read_database_facts(tx, facts); });
        const auto after = base::wall_clock_ms();
        facts.embedded = config.embedded_database();
        // Anywhere between the two is no difference.
        facts.clock_ahead_s = static_cast<double>(theirs - std::clamp(theirs, before, after)) / 1000;
        out.push_back({reach, all_well("it answers")});
        for (const auto& check : kChecks)
            out.push_back({check.name, check.judge(facts, config)});
        out.push_back(examine_migrations(*url));
    } catch (const base::Error& error) {
        out.push_back({reach, fails(reason(*url, error.detail()),
                                    "check that PostgreSQL runs, that database.url names it, and its log")});
    } catch (const std::exception& error) {
        out.push_back({reach, fails(error.what(),
                                    "check database.url, the role's privileges, and "
                                    "PostgreSQL's log")});
    }
    return out;
}

}  // namespace supd::app
