#include "archive_bytes.hpp"
#include "file.hpp"

#include <supd/crypto/sealed_stream.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <utility>

namespace supd::backup {

struct ArchiveWriter::State {
    State(std::filesystem::path target, const base::Secret& key)
        : path(std::move(target)),
          partial(path.parent_path() / ("." + path.filename().string() + ".partial")),
          file(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, S_IRUSR | S_IWUSR),
          opening(std::string(kMagic) + key_id(key)),
          stream(key, opening) {
        emit(opening);
        emit(stream.header());
    }

    void emit(std::string_view bytes) {
        file.write(bytes);
        written += bytes.size();
    }

    // A full chunk stays until there is more: only then is it known not to be the last.
    void put(std::string_view bytes) {
        while (!bytes.empty()) {
            if (plain.size() == kArchiveChunk) {
                emit(stream.seal(plain, false));
                plain.clear();
            }
            const auto piece = bytes.substr(0, kArchiveChunk - plain.size());
            plain += piece;
            bytes.remove_prefix(piece.size());
        }
    }

    void record(char type, std::string_view bytes) {
        std::string begin(1, type);
        for (int shift = 24; shift >= 0; shift -= 8)
            begin += static_cast<char>((bytes.size() >> shift) & 0xFF);
        put(begin);
        put(bytes);
    }

    void close_part() {
        if (!hash) return;
        parts.back().sha256 = crypto::hex(hash->finish());
        hash.reset();
    }

    std::filesystem::path path;
    std::filesystem::path partial;
    File file;
    std::string opening;
    crypto::SealedWriter stream;
    std::string plain;
    std::uint64_t written = 0;
    std::vector<Part> parts;
    std::optional<crypto::Sha256> hash;
    bool committed = false;
};

ArchiveWriter::ArchiveWriter(std::filesystem::path path, const base::Secret& key, const Head& head)
    : state_(std::make_unique<State>(std::move(path), key)) {
    state_->record(kHeadRecord, head_json(head));
}

ArchiveWriter::~ArchiveWriter() {
    if (state_->committed) return;
    std::error_code ignored;  // a leftover is removed by the next backup
    std::filesystem::remove(state_->partial, ignored);
}

void ArchiveWriter::begin_part(const std::string& name) {
    if (name.empty() || name.size() > kMaxPartName || state_->parts.size() == kMaxParts)
        throw std::invalid_argument("not a part of an archive");
    state_->close_part();
    state_->parts.push_back({name, 0, ""});
    state_->hash.emplace();
    state_->put(std::string(1, kPartRecord) + static_cast<char>(name.size()) + name);
}

void ArchiveWriter::write(std::string_view bytes) {
    if (!state_->hash) throw std::logic_error("write before begin_part");
    state_->hash->add(bytes);
    state_->parts.back().bytes += bytes.size();
    while (!bytes.empty()) {
        const auto piece = bytes.substr(0, kArchiveChunk);
        state_->record(kDataRecord, piece);
        bytes.remove_prefix(piece.size());
    }
}

std::uint64_t ArchiveWriter::commit() {
    auto& s = *state_;
    s.close_part();
    s.record(kManifestRecord, manifest_json(s.parts));
    s.emit(s.stream.seal(s.plain, true));
    s.file.sync();
    move_into_place(s.partial, s.path);
    s.committed = true;
    return s.written;
}

}  // namespace supd::backup
