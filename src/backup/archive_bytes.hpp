// The bytes that the writer and the reader of archives agree on; docs/backup.md, "The file".
#pragma once

#include <supd/backup/archive.hpp>

#include <string>
#include <string_view>

namespace supd::backup {

inline constexpr std::string_view kMagic = "SUPDARC1";
inline constexpr std::size_t kKeyIdBytes = 8;

// Records inside the encrypted stream.
inline constexpr char kPartRecord = 'P';      // u8 length, name
inline constexpr char kDataRecord = 'D';      // u32 length, bytes of the part that was begun last
inline constexpr char kManifestRecord = 'M';  // u32 length, JSON; the last one
inline constexpr char kHeadRecord = 'H';      // u32 length, JSON; the first one

// Tells a wrong key from a damaged file; says nothing about the key.
std::string key_id(const base::Secret& key);

std::string head_json(const Head& head);
Head head_of(const std::string& json);
std::string manifest_json(const std::vector<Part>& parts);
std::vector<Part> manifest_of(const std::string& json);

}  // namespace supd::backup
