#include "backup_settings.hpp"

#include "app.hpp"

namespace supd::app {

std::optional<backup::Settings> backup_settings(const Config& config) {
    if (config.backup.folder.empty() || config.backup.key_file.empty()) return std::nullopt;
    backup::Settings out;
    out.folder = config.backup.folder;
    out.key = backup::read_key_file(config.backup.key_file);
    out.keep = static_cast<std::size_t>(config.backup.keep);
    out.supd_version = version();
    return out;
}

}  // namespace supd::app
