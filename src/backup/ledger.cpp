#include "ledger.hpp"

#include "database_part.hpp"
#include "folder.hpp"
#include "store.hpp"

#include <supd/backup/ledger_copies.hpp>

#include <sstream>

namespace supd::backup {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kReplayBatch = 10'000;

std::vector<store::Erased> rows_of(const std::string& lines) {
    std::vector<store::Erased> out;
    std::istringstream in(lines);
    store::Erased row;
    while (in >> row.kind >> row.id >> row.deleted_at)
        out.push_back(row);
    return out;
}

std::size_t add(db::Connection& connection, const std::vector<store::Erased>& rows) {
    std::size_t added = 0;
    for (std::size_t at = 0; at < rows.size(); at += kReplayBatch) {
        const auto end = std::min(rows.size(), at + kReplayBatch);
        const std::vector<store::Erased> batch(rows.begin() + static_cast<std::ptrdiff_t>(at),
                                               rows.begin() + static_cast<std::ptrdiff_t>(end));
        added += connection.transact([&](db::Transaction& tx) { return store::add_to_ledger(tx, batch); });
    }
    return added;
}

}  // namespace

fs::path write_ledger(db::Transaction& tx, const Settings& settings) {
    const auto archives = archives_in(settings.folder, kBackup);
    if (archives.empty() || !store::has_ledger(tx)) return {};
    const LedgerLock lock(settings.folder);
    const auto head = head_now(tx, kLedger, settings);
    const auto stamp = stamp_of(archives.back());
    const auto path = settings.folder / (std::string(kLedger) + "-" + stamp + kSuffix);
    ArchiveWriter archive(path, settings.key, head);
    archive.begin_part(kLedger);
    for (const auto& row : store::erased_since(tx, time_of_stamp(stamp)))
        archive.write(row.kind + "\t" + row.id + "\t" + row.deleted_at + "\n");
    archive.commit();
    return path;
}

std::size_t replay_ledger(const std::string& url, const Settings& settings, const std::string& live_url) {
    auto connection = session(url);
    std::size_t added = 0;
    for (const auto& copy : archives_in(settings.folder, kLedger)) {
        try {
            added += add(*connection, rows_of(read_part(copy, settings.key, kLedger, kMaxLedger)));
        } catch (const ArchiveError& error) {
            throw ArchiveError(
                copy.string() + ", a copy of the deletion ledger: " + error.what() +
                ". Without it erased messages may come back; move it away to restore all the same");
        }
    }
    if (!live_url.empty()) {
        auto read = [](db::Transaction& tx) {
            return store::has_ledger(tx) ? store::erased_since(tx, "-infinity")
                                         : std::vector<store::Erased>();
        };
        added += add(*connection, session(live_url)->transact(db::Access::snapshot, read));
    }
    return added;
}

bool export_ledger(db::Transaction& tx, const Settings& settings) {
    store::prune_ledger(tx, kSessionEntriesKeptDays);
    write_ledger(tx, settings);
    return false;
}

}  // namespace supd::backup
