#include "archive_bytes.hpp"

#include <supd/crypto/bytes.hpp>

#include <nlohmann/json.hpp>

namespace supd::backup {

std::string key_id(const base::Secret& key) {
    const auto digest = crypto::sha256("supd archive key id\n" + key.reveal());
    return std::string(crypto::view_of(digest).substr(0, kKeyIdBytes));
}

std::string head_json(const Head& head) {
    nlohmann::ordered_json out;
    out["format"] = head.format;
    out["kind"] = head.kind;
    out["supd_version"] = head.supd_version;
    out["schema_version"] = head.schema_version;
    out["postgres_version"] = head.postgres_version;
    out["epoch"] = head.epoch;
    out["created_at"] = head.created_at;
    return out.dump();
}

Head head_of(const std::string& json) {
    try {
        const auto in = nlohmann::json::parse(json);
        Head head;
        head.format = in.at("format");
        if (head.format != kArchiveFormat)
            throw ArchiveError("the archive has format " + std::to_string(head.format) +
                               ", this supd knows format " + std::to_string(kArchiveFormat));
        head.kind = in.at("kind");
        head.supd_version = in.at("supd_version");
        head.schema_version = in.at("schema_version");
        head.postgres_version = in.at("postgres_version");
        head.epoch = in.at("epoch");
        head.created_at = in.at("created_at");
        return head;
    } catch (const nlohmann::json::exception&) {
        throw ArchiveError("the archive's head cannot be read");
    }
}

std::string manifest_json(const std::vector<Part>& parts) {
    auto list = nlohmann::json::array();
    for (const auto& part : parts)
        list.push_back({{"name", part.name}, {"bytes", part.bytes}, {"sha256", part.sha256}});
    return nlohmann::json{{"parts", std::move(list)}}.dump();
}

std::vector<Part> manifest_of(const std::string& json) {
    try {
        std::vector<Part> parts;
        for (const auto& each : nlohmann::json::parse(json).at("parts"))
            parts.push_back({each.at("name"), each.at("bytes"), each.at("sha256")});
        return parts;
    } catch (const nlohmann::json::exception&) {
        throw ArchiveError("the archive's manifest cannot be read");
    }
}

}  // namespace supd::backup
