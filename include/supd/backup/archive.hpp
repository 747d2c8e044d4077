// A backup as one file: named parts, encrypted and authenticated under the key file, closed by a manifest
// with the size and SHA-256 of each part. docs/backup.md describes the bytes. Blocking; one thread per
// object.
//
// A reader hands out a piece only after it has been authenticated, and says at the end whether the archive
// was whole; whoever must not act on half an archive reads it once to the end first.
#pragma once

#include <supd/base/secret.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace supd::backup {

inline constexpr int kArchiveFormat = 1;
inline constexpr std::size_t kArchiveChunk = 64 * 1024;  ///< of plain bytes
inline constexpr std::size_t kMaxPartName = 64;
inline constexpr std::size_t kMaxHead = 64 * 1024;
inline constexpr std::size_t kMaxManifest = 1024 * 1024;
inline constexpr std::size_t kMaxParts = 64;

/// The file is no archive, was made under another key, by a newer supd, is damaged or cut off. The text is
/// for the operator.
class ArchiveError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Makes `path` (mode 0600, never over a file that is there) with a new key.
void make_key_file(const std::filesystem::path& path);
/// Throws ArchiveError when it is open to other users or holds no key.
base::Secret read_key_file(const std::filesystem::path& path);

/// What an archive says of itself before its parts.
struct Head {
    int format = kArchiveFormat;
    std::string kind;  ///< backup, safety, ledger
    std::string supd_version;
    std::int64_t schema_version = 0;
    int postgres_version = 0;  ///< major
    std::string epoch;         ///< of the stream, at the time
    std::string created_at;    ///< RFC 3339 UTC, by the database's clock
};

struct Part {
    std::string name;
    std::uint64_t bytes = 0;
    std::string sha256;
};

/// Writes beside `path` and renames in commit(), synced to the disk; without commit() nothing stays.
class ArchiveWriter {
public:
    ArchiveWriter(std::filesystem::path path, const base::Secret& key, const Head& head);
    ~ArchiveWriter();
    ArchiveWriter(const ArchiveWriter&) = delete;
    ArchiveWriter& operator=(const ArchiveWriter&) = delete;

    void begin_part(const std::string& name);
    void write(std::string_view bytes);
    /// The size of the file.
    std::uint64_t commit();

private:
    struct State;
    std::unique_ptr<State> state_;
};

class ArchiveReader {
public:
    ArchiveReader(const std::filesystem::path& path, const base::Secret& key);
    ~ArchiveReader();
    const Head& head() const noexcept;

    using Sink = std::function<void(const std::string& part, std::string_view piece)>;
    /// Reads to the end, once. Throws ArchiveError unless every byte is as it was written.
    std::vector<Part> read(const Sink& sink);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Reads it to the end. Throws ArchiveError.
std::vector<Part> check_archive(const std::filesystem::path& path, const base::Secret& key);
/// One whole part; empty when there is none of that name. Throws ArchiveError, also above `limit` bytes.
std::string read_part(const std::filesystem::path& path, const base::Secret& key, const std::string& name,
                      std::size_t limit);

}  // namespace supd::backup
