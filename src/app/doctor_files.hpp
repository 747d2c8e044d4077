// How the doctor judges a file or a folder by its owner and mode.
#pragma once

#include "doctor.hpp"

#include <sys/types.h>

#include <filesystem>
#include <optional>

namespace supd::app {

struct FileFacts {
    std::filesystem::path path;
    bool folder = false;
    unsigned mode = 0;  ///< permission bits
    uid_t owner = 0;
};
/// nullopt when there is none, or it cannot be looked at.
std::optional<FileFacts> file_facts(const std::filesystem::path& path);

/// Others may not read a secret; a group may (a service's own), as with mode 0640.
Judgement judge_secret_file(const FileFacts& facts);
/// Nobody but its owner may write there, and the owner is `user` or root.
Judgement judge_data_folder(const FileFacts& facts, uid_t user);

}  // namespace supd::app
