#include "database_part.hpp"
#include "folder.hpp"
#include "ledger.hpp"
#include "store.hpp"

#include <supd/backup/backups.hpp>
#include <supd/db/server.hpp>

namespace supd::backup {

// The head, the counts and the dump see one snapshot: that of the transaction which runs all this. It reads
// only, so it has no transaction id and holds no cursor back.
std::filesystem::path create(const Target& target, const Settings& settings, const std::string& kind) {
    const FolderLock lock(settings.folder);
    auto connection = session(target.url);
    // The last word on what was erased since the archive before this one.
    connection->transact([&](db::Transaction& tx) { write_ledger(tx, settings); });
    std::filesystem::path path;
    connection->transact(db::Access::snapshot, [&](db::Transaction& tx) {
        const auto head = head_now(tx, kind, settings);
        path = archive_path(settings.folder, kind, head.created_at);
        ArchiveWriter archive(path, settings.key, head);
        archive.begin_part(kConfigurationPart);
        archive.write(settings.configuration);
        archive.begin_part(kCountsPart);
        archive.write(store::count_rows(tx));
        archive.begin_part(kDatabasePart);
        db::dump(target.url, store::export_snapshot(tx),
                 [&](std::string_view piece) { archive.write(piece); });
        archive.commit();
    });
    if (kind == kBackup)
        connection->transact(
            [&](db::Transaction& tx) { store::record_run(tx, "created", path.filename(), std::nullopt); });
    return path;
}

}  // namespace supd::backup
