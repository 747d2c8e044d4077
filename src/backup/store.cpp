#include "store.hpp"

#include <supd/backup/backups.hpp>

#include <cstdlib>

namespace supd::backup {
namespace {

constexpr db::Statement kDescribe{
    "backup_describe",
    "select (select epoch from stream_state), "
    "(select max(version) from schema_migrations), current_setting('server_version_num')::int / 10000, "
    "to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"};

constexpr db::Statement kExportSnapshot{"backup_export_snapshot", "select pg_export_snapshot()"};

// query_to_xml runs a statement made of a table's name, and answers within this one.
constexpr db::Statement kCountRows{
    "backup_count_rows",
    "select c.relname, (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', "
    "n.nspname, c.relname), false, true, '')))[1]::text from pg_class c "
    "join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname = current_schema() and c.relkind = 'r' order by c.relname"};

constexpr const char* kForgetTransactionIds =
    "do $$ declare c record; begin "
    "for c in select a.attrelid::regclass as t, a.attname as n from pg_attribute a "
    "join pg_class r on r.oid = a.attrelid "
    "where a.atttypid = 'xid8'::regtype and not a.attisdropped and r.relkind = 'r' "
    "and r.relnamespace = current_schema()::regnamespace loop "
    "execute format('alter table %s alter column %I type xid8 using ''0''::xid8', c.t, c.n); "
    "end loop; end $$";

constexpr db::Statement kInvalidObjects{
    "backup_invalid_objects",
    "select conname::text from pg_constraint where not convalidated union all "
    "select indexrelid::regclass::text from pg_index where not indisvalid"};

constexpr db::Statement kRecordRun{
    "backup_record_run",
    "insert into backup_runs (kind, name, at) values ($1, $2, coalesce($3::timestamptz, now()))"};

constexpr db::Statement kHasLedger{"backup_has_ledger", "select to_regclass('deletion_ledger') is not null"};

constexpr db::Statement kErasedSince{
    "backup_erased_since",
    "select kind, id, to_char(deleted_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
    "from deletion_ledger where deleted_at >= $1::timestamptz - $2::interval order by deleted_at"};

constexpr db::Statement kAddToLedger{
    "backup_add_to_ledger",
    "insert into deletion_ledger (kind, id, deleted_at) "
    "select * from unnest($1::text[], $2::text[]::uuid[], $3::text[]::timestamptz[]) on conflict do nothing"};

constexpr db::Statement kPruneLedger{
    "backup_prune_ledger",
    "delete from deletion_ledger where kind = 'session' and deleted_at < now() - make_interval(days => $1)"};

constexpr db::Statement kAges{
    "backup_ages",
    "select extract(epoch from now() - max(at) filter (where kind = 'created')), "
    "extract(epoch from now() - max(at) filter (where kind = 'verified')) from backup_runs"};

std::optional<double> seconds(const db::Row& row, int column) {
    const auto text = row.maybe_text(column);
    return text ? std::optional(std::strtod(text->c_str(), nullptr)) : std::nullopt;
}

}  // namespace

namespace store {

Described describe(db::Transaction& tx) {
    const auto rows = tx.exec(kDescribe);
    const auto row = rows.front();
    Described out;
    out.epoch = row.text(0);
    out.schema_version = row.integer(1);
    out.postgres_version = static_cast<int>(row.integer(2));
    out.now = row.text(3);
    return out;
}

std::string export_snapshot(db::Transaction& tx) {
    return tx.exec(kExportSnapshot).front().text(0);
}

std::string count_rows(db::Transaction& tx) {
    std::string out;
    const auto rows = tx.exec(kCountRows);
    for (const auto row : rows)
        out += row.text(0) + "\t" + row.text(1) + "\n";
    return out;
}

void forget_transaction_ids(db::Transaction& tx) {
    tx.script(kForgetTransactionIds);
}

std::string invalid_objects(db::Transaction& tx) {
    std::string out;
    const auto rows = tx.exec(kInvalidObjects);
    for (const auto row : rows)
        out += (out.empty() ? "" : ", ") + row.text(0);
    return out;
}

void record_run(db::Transaction& tx, const std::string& kind, const std::string& name,
                const std::optional<std::string>& at) {
    tx.exec(kRecordRun, kind, name, at);
}

bool has_ledger(db::Transaction& tx) {
    return tx.exec(kHasLedger).front().flag(0);
}

std::vector<Erased> erased_since(db::Transaction& tx, const std::string& since) {
    std::vector<Erased> out;
    const auto rows = tx.exec(kErasedSince, since, kLedgerOverlap);
    out.reserve(rows.size());
    for (const auto row : rows)
        out.push_back({row.text(0), row.text(1), row.text(2)});
    return out;
}

std::size_t add_to_ledger(db::Transaction& tx, const std::vector<Erased>& rows) {
    std::vector<std::string> kinds;
    std::vector<std::string> ids;
    std::vector<std::string> times;
    for (const auto& row : rows) {
        kinds.push_back(row.kind);
        ids.push_back(row.id);
        times.push_back(row.deleted_at);
    }
    return tx.exec(kAddToLedger, kinds, ids, times).affected();
}

void prune_ledger(db::Transaction& tx, int session_days) {
    tx.exec(kPruneLedger, session_days);
}

}  // namespace store

Ages ages(db::Transaction& tx) {
    const auto rows = tx.exec(kAges);
    return {seconds(rows.front(), 0), seconds(rows.front(), 1)};
}

}  // namespace supd::backup
