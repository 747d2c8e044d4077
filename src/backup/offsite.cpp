#include "folder.hpp"
#include "ledger.hpp"

#include <supd/backup/offsite.hpp>

#include <algorithm>
#include <map>

namespace supd::backup {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPrefix = std::string_view(kOffsitePrefix).size();

bool is_archive(const blob::Object& object) {
    return !kind_of(object.key).empty();
}

}  // namespace

std::vector<blob::Object> list_offsite(blob::Store& store) {
    auto objects = store.list(kOffsitePrefix);
    std::erase_if(objects, [](const blob::Object& object) { return !is_archive(object); });
    for (auto& object : objects)
        object.key = object.key.substr(kPrefix);
    std::ranges::sort(objects, {},
                      [](const blob::Object& object) { return stamp_of(object.key) + object.key; });
    return objects;
}

OffsiteChanges copy_offsite(const Settings& settings, blob::Store& store) {
    std::map<std::string, std::uint64_t> there;
    for (const auto& object : list_offsite(store))
        there[object.key] = object.bytes;
    OffsiteChanges changes;
    const auto ledgers = archives_in(settings.folder, kLedger);
    for (const auto& archive : archives_in(settings.folder)) {
        const std::string name = archive.filename();
        const auto found = there.find(name);
        // A copy of the ledger is replaced, and need not change its size.
        const bool grows = !ledgers.empty() && archive == ledgers.back();
        if (found != there.end() && found->second == fs::file_size(archive) && !grows) continue;
        store.put(kOffsitePrefix + name, archive);
        there[name] = fs::file_size(archive);
        changes.copied.push_back(name);
    }
    std::string oldest;
    for (const char* kind : {kBackup, kSafety}) {
        std::vector<std::string> names;
        for (const auto& [name, bytes] : there)
            if (kind_of(name) == kind) names.push_back(name);
        const auto kept = std::min(names.size(), settings.keep);
        for (const auto& name : std::vector(names.begin(), names.end() - static_cast<std::ptrdiff_t>(kept))) {
            store.remove(kOffsitePrefix + name);
            changes.removed.push_back(name);
        }
        if (kept == 0) continue;
        const auto first = stamp_of(names[names.size() - kept]);
        oldest = oldest.empty() ? first : std::min(oldest, first);
    }
    for (const auto& [name, bytes] : there)
        if (kind_of(name) == kLedger && !oldest.empty() && stamp_of(name) < oldest) {
            store.remove(kOffsitePrefix + name);
            changes.removed.push_back(name);
        }
    return changes;
}

std::vector<std::string> fetch_offsite(const Settings& settings, blob::Store& store,
                                       const std::string& name) {
    const FolderLock lock(settings.folder);
    std::vector<std::string> fetched;
    bool found = false;
    for (const auto& object : list_offsite(store)) {
        const bool wanted = name.empty() || object.key == name;
        if (!wanted && kind_of(object.key) != kLedger) continue;
        const auto path = settings.folder / object.key;
        const bool here = fs::exists(path) && fs::file_size(path) == object.bytes;
        const bool got = !here && store.get(kOffsitePrefix + object.key, path);
        if (got) fetched.push_back(object.key);
        found = found || (wanted && (here || got));
    }
    if (!found) throw ArchiveError("there is no such archive off-site");
    return fetched;
}

}  // namespace supd::backup
