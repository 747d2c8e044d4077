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

std::unique_ptr<blob::Store> offsite_store(const Config& config) {
    if (config.backup.offsite == "folder") return blob::folder_store(config.backup.offsite_folder);
    if (config.backup.offsite != "s3") return nullptr;
    blob::S3Options options;
    options.endpoint = config.s3.endpoint;
    options.region = config.s3.region;
    options.bucket = config.s3.bucket;
    options.access_key = config.s3.access_key;
    options.secret_key = config.s3.secret_key;
    options.path_style = config.s3.path_style;
    options.ca_file = config.s3.ca_file;
    options.part_bytes = static_cast<std::uint64_t>(config.s3.part_mib) << 20;
    try {
        return blob::s3_store(std::move(options));
    } catch (const std::invalid_argument& error) {
        throw ConfigError({std::string("s3.endpoint: ") + error.what()});
    }
}

}  // namespace supd::app
