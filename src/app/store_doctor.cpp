// What `supd doctor` asks the database.
#include "doctor_database.hpp"

namespace supd::app {
namespace {

constexpr db::Statement kServer{
    "doctor_server",
    "select current_setting('server_version_num')::bigint, current_setting('server_version'), "
    "current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'), "
    "current_setting('server_encoding'), current_setting('data_checksums'), current_setting('autovacuum'), "
    "pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on', "
    "current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint, "
    "current_setting('synchronous_standby_names'), "
    "(extract(epoch from clock_timestamp()) * 1000)::bigint"};

constexpr db::Statement kRole{
    "doctor_role",
    "select current_user, rolsuper, rolbypassrls, coalesce(has_schema_privilege(current_schema(), 'create') "
    "and has_schema_privilege(current_schema(), 'usage'), false), "
    "pg_has_role(current_user, 'pg_read_all_stats', 'usage') from pg_roles where rolname = current_user"};

constexpr db::Statement kTables{
    "doctor_tables",
    "select count(*), count(*) filter (where not (has_table_privilege(c.oid, 'select') and "
    "has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update') and "
    "has_table_privilege(c.oid, 'delete'))) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname = current_schema() and c.relkind in ('r', 'p')"};

// The session's own transaction is left out.
constexpr db::Statement kActivity{
    "doctor_activity",
    "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)) "
    "filter (where backend_xid is not null), 0)::text, "
    "coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::text, "
    "coalesce((array_agg(coalesce(nullif(application_name, ''), 'a session') || ' (pid ' || pid || ', ' || "
    "coalesce(state, '?') || ')' order by xact_start))[1], ''), count(*), "
    "(select count(*) from pg_prepared_xacts) "
    "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"};

constexpr db::Statement kReplication{
    "doctor_replication",
    "select count(*), count(*) filter (where state = 'streaming'), "
    "count(*) filter (where sync_state in ('sync', 'quorum')) from pg_stat_replication"};

constexpr db::Statement kSlots{
    "doctor_slots",
    "select count(*), coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::bigint "
    "from pg_replication_slots where not active and restart_lsn is not null"};

constexpr db::Statement kBackupsKnown{"doctor_backups_known",
                                      "select to_regclass('backup_runs') is not null"};

constexpr db::Statement kBackups{
    "doctor_backups",
    "select extract(epoch from now() - max(at) filter (where kind = 'created'))::text, "
    "extract(epoch from now() - max(at) filter (where kind = 'verified'))::text from backup_runs"};

std::optional<double> maybe_number(const db::Row& row, int column) {
    const auto text = row.maybe_text(column);
    return text ? std::optional(std::stod(*text)) : std::nullopt;
}

void read_replication(db::Transaction& tx, DatabaseFacts& facts) {
    const auto rows = tx.exec(kReplication);
    facts.standbys = rows.front().integer(0);
    facts.standbys_in_step = rows.front().integer(1);
    facts.standbys_synchronous = rows.front().integer(2);
    const auto slots = tx.exec(kSlots);
    facts.idle_slots = slots.front().integer(0);
    facts.idle_slot_bytes = slots.front().integer(1);
}

}  // namespace

std::int64_t read_database_facts(db::Transaction& tx, DatabaseFacts& facts) {
    const auto server = tx.exec(kServer);
    const auto row = server.front();
    facts.version_num = row.integer(0);
    facts.version = row.text(1);
    facts.fsync = row.text(2);
    facts.synchronous_commit = row.text(3);
    facts.full_page_writes = row.text(4);
    facts.encoding = row.text(5);
    facts.data_checksums = row.text(6);
    facts.autovacuum = row.text(7);
    facts.standby = row.flag(8);
    facts.read_only = row.flag(9);
    facts.connections_max = row.integer(10);
    facts.synchronous_standbys = row.text(11);

    const auto role = tx.exec(kRole);
    facts.role = role.front().text(0);
    facts.superuser = role.front().flag(1);
    facts.bypasses_rls = role.front().flag(2);
    facts.may_create = role.front().flag(3);
    facts.sees_all = role.front().flag(4);
    const auto tables = tx.exec(kTables);
    facts.tables = tables.front().integer(0);
    facts.tables_out_of_reach = tables.front().integer(1);

    const auto activity = tx.exec(kActivity);
    facts.w_age_s = std::stod(activity.front().text(0));
    facts.longest_s = std::stod(activity.front().text(1));
    facts.longest = activity.front().text(2);
    facts.connections = activity.front().integer(3);
    facts.prepared = activity.front().integer(4);
    if (!facts.standby) read_replication(tx, facts);

    facts.backups_known = tx.exec(kBackupsKnown).front().flag(0);
    if (facts.backups_known) {
        const auto backups = tx.exec(kBackups);
        facts.backup_age_s = maybe_number(backups.front(), 0);
        facts.proof_age_s = maybe_number(backups.front(), 1);
    }
    return row.integer(12);
}

}  // namespace supd::app
