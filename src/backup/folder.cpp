#include "folder.hpp"

#include "ledger.hpp"

#include <supd/backup/backups.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace supd::backup {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLockFile = ".lock";
constexpr const char* kLedgerLockFile = ".ledger.lock";
constexpr std::string_view kPartial = ".partial";

File open_lock(const fs::path& folder, const char* name) {
    if (fs::create_directories(folder)) fs::permissions(folder, fs::perms::owner_all);
    return File(folder / name, O_RDWR | O_CREAT | O_NOFOLLOW, S_IRUSR | S_IWUSR);
}

void remove_leftovers(const fs::path& folder, bool of_ledger) {
    for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename();
        if (name.ends_with(kPartial) && name.starts_with("." + std::string(kLedger) + "-") == of_ledger)
            fs::remove(entry.path());
    }
}

std::string digits_of(const std::string& time) {
    std::string out;
    for (const char c : time)
        if (c != '-' && c != ':' && c != '.') out += c;
    return out;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder) : file_(open_lock(folder, kLockFile)) {
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
        throw ArchiveError("another backup or restore is at work in " + folder.string());
    remove_leftovers(folder, false);
}

LedgerLock::LedgerLock(const fs::path& folder) : file_(open_lock(folder, kLedgerLockFile)) {
    while (::flock(file_.get(), LOCK_EX) != 0)
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), folder.string());
    remove_leftovers(folder, true);
}

fs::path archive_path(const fs::path& folder, const std::string& kind, const std::string& created_at) {
    return folder / (kind + "-" + digits_of(created_at) + kSuffix);
}

std::string kind_of(const fs::path& path) {
    const std::string name = path.filename();
    const auto dash = name.find('-');
    if (name.starts_with('.') || !name.ends_with(kSuffix) || dash == std::string::npos) return "";
    return name.substr(0, dash);
}

std::string stamp_of(const fs::path& archive) {
    const std::string name = archive.stem();
    return name.substr(name.find('-') + 1);
}

std::string time_of_stamp(const std::string& stamp) {
    constexpr std::size_t kDigits = 19;
    if (stamp.size() != kDigits) throw ArchiveError(stamp + " is no time in the name of an archive");
    return stamp.substr(0, 4) + "-" + stamp.substr(4, 2) + "-" + stamp.substr(6, 5) + ":" +
           stamp.substr(11, 2) + ":" + stamp.substr(13, 2) + "." + stamp.substr(15);
}

std::vector<fs::path> archives_in(const fs::path& folder, const std::string& kind) {
    std::vector<fs::path> out;
    if (!fs::exists(folder)) return out;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto found = kind_of(entry.path());
        if (!found.empty() && (kind.empty() || kind == found)) out.push_back(entry.path());
    }
    std::ranges::sort(out, {}, [](const fs::path& path) { return stamp_of(path) + path.string(); });
    return out;
}

std::vector<Entry> list(const Settings& settings) {
    std::vector<Entry> out;
    for (const auto& path : archives_in(settings.folder)) {
        Entry entry;
        entry.path = path;
        entry.bytes = fs::file_size(path);
        try {
            entry.head = ArchiveReader(path, settings.key).head();
        } catch (const ArchiveError& error) {
            entry.fault = error.what();
        }
        out.push_back(std::move(entry));
    }
    return out;
}

std::vector<fs::path> prune(const Settings& settings) {
    const FolderLock lock(settings.folder);
    std::vector<fs::path> gone;
    for (const char* kind : {kBackup, kSafety}) {
        auto found = archives_in(settings.folder, kind);
        found.resize(found.size() - std::min(found.size(), settings.keep));
        for (const auto& path : found) {
            fs::remove(path);
            gone.push_back(path);
        }
    }
    // A copy of the ledger is of use to its archive and to older ones.
    std::string oldest;
    for (const char* kind : {kBackup, kSafety})
        if (const auto left = archives_in(settings.folder, kind); !left.empty())
            oldest = oldest.empty() ? stamp_of(left.front()) : std::min(oldest, stamp_of(left.front()));
    for (const auto& copy : archives_in(settings.folder, kLedger))
        if (!oldest.empty() && stamp_of(copy) < oldest) fs::remove(copy);
    return gone;
}

}  // namespace supd::backup
