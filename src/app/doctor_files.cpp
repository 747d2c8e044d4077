#include "doctor_files.hpp"

#include <sys/stat.h>

#include <array>
#include <cstdio>

namespace supd::app {
namespace {

std::string octal(unsigned mode) {
    std::array<char, 8> text{};
    std::snprintf(text.data(), text.size(), "%04o", mode);
    return text.data();
}

}  // namespace

std::optional<FileFacts> file_facts(const std::filesystem::path& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return std::nullopt;
    return FileFacts{path, S_ISDIR(info.st_mode), info.st_mode & 07777U, info.st_uid};
}

Judgement judge_secret_file(const FileFacts& facts) {
    const std::string found = facts.path.string() + " has mode " + octal(facts.mode);
    const std::string mend = std::string("chmod ") + (facts.folder ? "0700 " : "0600 ") + facts.path.string();
    if ((facts.mode & 0007U) != 0) return fails(found + ": open to everybody on this machine", mend);
    if ((facts.mode & 0030U) != 0) return warns(found + ": its group may change it", mend);
    return all_well(found);
}

Judgement judge_data_folder(const FileFacts& facts, uid_t user) {
    const std::string found =
        facts.path.string() + " has mode " + octal(facts.mode) + ", owner " + std::to_string(facts.owner);
    if (!facts.folder)
        return fails(facts.path.string() + " is no folder", "name another one as server.data_dir");
    if ((facts.mode & 0022U) != 0)
        return fails(found + ": others may write there", "chmod go-w " + facts.path.string());
    if (facts.owner != user && user != 0)
        return fails(found + ": it belongs to another user",
                     "chown it to the user that runs supd, or run the doctor as that user");
    return all_well(found);
}

}  // namespace supd::app
