#include "database_part.hpp"

#include "ledger.hpp"
#include "store.hpp"

#include <supd/base/log.hpp>
#include <supd/db/migrator.hpp>
#include <supd/db/server.hpp>

#include <sstream>

namespace supd::backup {
namespace {

constexpr std::chrono::hours kLongestStatement{24};

void feed(const std::filesystem::path& archive, const base::Secret& key, const std::string& url,
          db::Load::Part part) {
    db::Load load(url, part);
    bool wanted = true;
    ArchiveReader(archive, key).read([&](const std::string& name, std::string_view piece) {
        if (wanted && name == kDatabasePart) wanted = load.write(piece);
    });
    load.finish();
}

// The first table whose number of rows is another one than at the time.
void compare_counts(const std::string& saved, const std::string& found) {
    if (saved == found) return;
    std::istringstream was(saved);
    std::istringstream is(found);
    std::string a;
    std::string b;
    do {
        a.clear();
        b.clear();
        std::getline(was, a);
        std::getline(is, b);
    } while (a == b && (was || is));
    throw ArchiveError("what was restored is not what was saved: table and rows were '" + a + "', are '" + b +
                       "'");
}

void check(db::Transaction& tx, const std::vector<ModuleHook>& hooks) {
    if (const auto invalid = store::invalid_objects(tx); !invalid.empty())
        throw ArchiveError("the restored database has constraints or indexes that are not valid: " + invalid);
    for (const auto& hook : hooks) {
        const auto fault = hook.fault ? hook.fault(tx) : std::string();
        if (!fault.empty()) throw ArchiveError(hook.module + ": " + fault);
    }
}

void apply(db::Transaction& tx, const std::vector<ModuleHook>& hooks) {
    check(tx, hooks);
    for (const auto& hook : hooks)
        if (hook.after_restore) hook.after_restore(tx);
}

}  // namespace

std::unique_ptr<db::Connection> session(const std::string& url) {
    return std::make_unique<db::Connection>(url, kLongestStatement, "supd-backup");
}

Head head_now(db::Transaction& tx, const std::string& kind, const Settings& settings) {
    const auto state = store::describe(tx);
    Head head;
    head.kind = kind;
    head.supd_version = settings.supd_version;
    head.schema_version = state.schema_version;
    head.postgres_version = state.postgres_version;
    head.epoch = state.epoch;
    head.created_at = state.now;
    return head;
}

ScratchDatabase::ScratchDatabase(const Target& target, const std::string& name)
    : target_(target), name_(name), url_(db::conninfo_with(target.url, {{"dbname", name}})) {
    db::Server(target_.maintenance_url).create(name_, target_.owner);
}

ScratchDatabase::~ScratchDatabase() {
    if (kept_) return;
    try {
        db::Server(target_.maintenance_url).drop(name_);
    } catch (const std::exception& error) {
        base::log::error("scratch_database_left", {{"name", name_}, {"error", error.what()}});
    }
}

void run_hooks(db::Connection& connection, const std::vector<ModuleHook>& hooks) {
    connection.transact([&](db::Transaction& tx) { apply(tx, hooks); });
}

void load_database(const std::filesystem::path& archive, const Settings& settings, const std::string& url,
                   const std::string& live_url, const std::vector<ModuleHook>& hooks) {
    const auto& key = settings.key;
    const auto head = ArchiveReader(archive, key).head();
    const auto counts = read_part(archive, key, kCountsPart, kMaxCounts);
    feed(archive, key, url, db::Load::Part::tables_and_rows);
    auto connection = session(url);
    connection->transact([&](db::Transaction& tx) {
        compare_counts(counts, store::count_rows(tx));
        store::forget_transaction_ids(tx);
    });
    feed(archive, key, url, db::Load::Part::the_rest);
    db::Migrator(url, db::embedded_migrations()).up();
    replay_ledger(url, settings, live_url);
    connection->transact([&](db::Transaction& tx) {
        apply(tx, hooks);
        store::record_run(tx, "created", archive.filename(), head.created_at);
        tx.script("analyze");
    });
}

}  // namespace supd::backup
