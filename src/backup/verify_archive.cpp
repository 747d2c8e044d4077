#include "database_part.hpp"
#include "store.hpp"

#include <supd/base/ids.hpp>

#include <ostream>

namespace supd::backup {

void verify(const std::filesystem::path& archive, const Target& target, const Settings& settings,
            const std::vector<ModuleHook>& hooks, std::ostream& out) {
    const auto head = ArchiveReader(archive, settings.key).head();
    const auto parts = check_archive(archive, settings.key);
    out << archive.filename().string() << ": " << head.kind << " of " << head.created_at << ", schema "
        << head.schema_version << ", whole and unchanged\n";
    for (const auto& part : parts)
        out << "  " << part.name << "  " << part.bytes << " bytes\n";
    {
        const ScratchDatabase scratch(target, "supd_verify_" + base::SessionId::make().text());
        load_database(archive, settings, scratch.url(), target.url, hooks);
    }
    session(target.url)->transact([&](db::Transaction& tx) {
        store::record_run(tx, "verified", archive.filename(), std::nullopt);
    });
    out << "restored into a scratch database: rows, sequences and constraints are in order\n";
}

}  // namespace supd::backup
