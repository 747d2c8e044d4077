// What `supd doctor db` asks the database.
#include "doctor_report.hpp"

namespace supd::app {
namespace {

// The setting exists where the library is loaded, the view where the extension was created.
constexpr db::Statement kStatementsState{
    "report_statements_state",
    "select current_setting('pg_stat_statements.max', true) is not null, "
    "to_regclass('pg_stat_statements') is not null"};

// Only statements that have their values taken out: a utility command keeps them, passwords too.
constexpr db::Statement kSlow{
    "report_slow",
    "select calls, total_exec_time::text, mean_exec_time::text, max_exec_time::text, rows, "
    "case when shared_blks_hit + shared_blks_read > 0 then "
    "(shared_blks_hit::float8 / (shared_blks_hit + shared_blks_read))::text end, "
    "left(regexp_replace(query, '\\s+', ' ', 'g'), 300) from pg_stat_statements "
    "where dbid = (select oid from pg_database where datname = current_database()) "
    "and query ~* '^\\s*(select|insert|update|delete|with|merge)\\y' "
    "order by total_exec_time desc limit $1"};

constexpr db::Statement kTables{
    "report_tables",
    "select relname, pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup, "
    "coalesce(to_char(greatest(last_vacuum, last_autovacuum) at time zone 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') "
    "from pg_stat_user_tables order by pg_total_relation_size(relid) desc, relname limit $1"};

constexpr db::Statement kUnused{
    "report_unused",
    "select s.indexrelname, s.relname, pg_relation_size(s.indexrelid) from pg_stat_user_indexes s "
    "join pg_index i on i.indexrelid = s.indexrelid "
    "where s.idx_scan = 0 and not i.indisunique and not i.indisexclusion "
    "order by pg_relation_size(s.indexrelid) desc, s.indexrelname limit $1"};

constexpr db::Statement kDatabase{
    "report_database",
    "select case when blks_hit + blks_read > 0 then (blks_hit::float8 / (blks_hit + blks_read))::text end, "
    "pg_database_size(datid), coalesce(to_char(stats_reset at time zone 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') from pg_stat_database where datname = current_database()"};

constexpr db::Statement kHolder{
    "report_holder",
    "select kind, who, age(holds)::bigint from ("
    "select 'session' as kind, coalesce(nullif(application_name, ''), 'unnamed') || ' (pid ' || pid || ', ' "
    "|| "
    "coalesce(state, '?') || ')' as who, backend_xmin as holds from pg_stat_activity "
    "where pid <> pg_backend_pid() "
    "union all select 'prepared transaction', gid, transaction from pg_prepared_xacts "
    "union all select 'replication slot', slot_name::text, "
    "case when xmin is null then catalog_xmin else xmin end from pg_replication_slots "
    "union all select 'standby', application_name, backend_xmin from pg_stat_replication) all_holders "
    "where holds is not null order by age(holds) desc limit 1"};

std::optional<double> maybe_number(const db::Row& row, int column) {
    const auto text = row.maybe_text(column);
    return text ? std::optional(std::stod(*text)) : std::nullopt;
}

void read_slow(db::Transaction& tx, int top, DatabaseReport& out) {
    const auto state = tx.exec(kStatementsState);
    if (!state.front().flag(1)) {
        out.why_not = state.front().flag(0)
                          ? "CREATE EXTENSION pg_stat_statements; in this database, as a superuser"
                          : "add pg_stat_statements to shared_preload_libraries, restart PostgreSQL, and "
                            "CREATE EXTENSION pg_stat_statements; in this database";
        return;
    }
    if (!state.front().flag(0)) {
        out.why_not = "add pg_stat_statements to shared_preload_libraries and restart PostgreSQL";
        return;
    }
    out.statements_counted = true;
    for (const auto& row : tx.exec(kSlow, top))
        out.slow.push_back({row.integer(0), std::stod(row.text(1)), std::stod(row.text(2)),
                            std::stod(row.text(3)), row.integer(4), maybe_number(row, 5), row.text(6)});
}

}  // namespace

DatabaseReport read_database_report(db::Transaction& tx, int top) {
    DatabaseReport out;
    read_slow(tx, top, out);
    for (const auto& row : tx.exec(kTables, top))
        out.tables.push_back(
            {row.text(0), row.integer(1), row.integer(2), row.integer(3), row.integer(4), row.text(5)});
    for (const auto& row : tx.exec(kUnused, top))
        out.unused.push_back({row.text(0), row.text(1), row.integer(2)});
    const auto database = tx.exec(kDatabase);
    out.hit_share = maybe_number(database.front(), 0);
    out.bytes = database.front().integer(1);
    out.counted_since = database.front().text(2);
    const auto holder = tx.exec(kHolder);
    if (!holder.empty())
        out.holder = {holder.front().text(0), holder.front().text(1), holder.front().integer(2)};
    return out;
}

}  // namespace supd::app
