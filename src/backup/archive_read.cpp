#include "archive_bytes.hpp"
#include "file.hpp"

#include <supd/crypto/sealed_stream.hpp>

#include <fcntl.h>

#include <map>
#include <optional>
#include <utility>

namespace supd::backup {
namespace {

[[noreturn]] void damaged() {
    throw ArchiveError("the archive is damaged or cut off");
}

// The opening is checked here, so that the constructor of State can use what follows it.
std::string opening_of(File& file, const base::Secret& key) {
    auto opening = file.read(kMagic.size() + kKeyIdBytes);
    if (!opening.starts_with(kMagic)) throw ArchiveError("this is not an archive of supd");
    if (opening.size() != kMagic.size() + kKeyIdBytes) damaged();
    if (opening.substr(kMagic.size()) != key_id(key))
        throw ArchiveError("the archive was made under another key, or its opening is damaged");
    return opening;
}

std::string header_of(File& file) {
    auto header = file.read(crypto::kSealHeaderBytes);
    if (header.size() != crypto::kSealHeaderBytes) damaged();
    return header;
}

}  // namespace

struct ArchiveReader::State {
    State(const std::filesystem::path& path, const base::Secret& key)
        : file(path, O_RDONLY), opening(opening_of(file, key)), stream(key, header_of(file), opening) {}

    // Decrypts the next chunk behind what is left of the one before it.
    void fill() {
        if (last) damaged();
        const auto sealed = file.read(kArchiveChunk + crypto::kSealOverheadBytes);
        std::string fresh;
        if (!stream.open(sealed, fresh, last)) damaged();
        if (last ? !file.read(1).empty() : fresh.size() != kArchiveChunk) damaged();
        plain.erase(0, at);
        at = 0;
        plain += fresh;
    }

    std::string_view take(std::size_t size) {
        while (plain.size() - at < size)
            fill();
        const auto bytes = std::string_view(plain).substr(at, size);
        at += size;
        return bytes;
    }

    std::size_t length(std::size_t limit) {
        std::size_t value = 0;
        for (const char c : take(4))
            value = value << 8 | static_cast<unsigned char>(c);
        if (value > limit) damaged();
        return value;
    }

    File file;
    std::string opening;
    crypto::SealedReader stream;
    std::string plain;
    std::size_t at = 0;
    bool last = false;
    Head head;
};

ArchiveReader::ArchiveReader(const std::filesystem::path& path, const base::Secret& key)
    : state_(std::make_unique<State>(path, key)) {
    if (state_->take(1).front() != kHeadRecord) damaged();
    state_->head = head_of(std::string(state_->take(state_->length(kMaxHead))));
}

ArchiveReader::~ArchiveReader() = default;

const Head& ArchiveReader::head() const noexcept {
    return state_->head;
}

std::vector<Part> ArchiveReader::read(const Sink& sink) {
    auto& s = *state_;
    std::vector<Part> parts;
    std::optional<crypto::Sha256> hash;
    const auto close_part = [&] {
        if (hash) parts.back().sha256 = crypto::hex(hash->finish());
        hash.reset();
    };
    for (;;) {
        const char type = s.take(1).front();
        if (type == kPartRecord) {
            close_part();
            const auto size = static_cast<unsigned char>(s.take(1).front());
            if (size == 0 || size > kMaxPartName || parts.size() == kMaxParts) damaged();
            parts.push_back({std::string(s.take(size)), 0, ""});
            hash.emplace();
        } else if (type == kDataRecord && hash) {
            const auto piece = s.take(s.length(kArchiveChunk));
            hash->add(piece);
            parts.back().bytes += piece.size();
            sink(parts.back().name, piece);
        } else if (type == kManifestRecord) {
            close_part();
            const auto manifest = manifest_of(std::string(s.take(s.length(kMaxManifest))));
            // What comes after the manifest is nothing: not in this chunk, and no chunk more.
            if (!s.last && s.at == s.plain.size()) s.fill();
            if (!s.last || s.at != s.plain.size()) damaged();
            const auto same = [](const Part& a, const Part& b) {
                return a.name == b.name && a.bytes == b.bytes && a.sha256 == b.sha256;
            };
            if (!std::equal(parts.begin(), parts.end(), manifest.begin(), manifest.end(), same)) damaged();
            return parts;
        } else {
            damaged();
        }
    }
}

std::vector<Part> check_archive(const std::filesystem::path& path, const base::Secret& key) {
    return ArchiveReader(path, key).read([](const std::string&, std::string_view) {});
}

std::string read_part(const std::filesystem::path& path, const base::Secret& key, const std::string& name,
                      std::size_t limit) {
    std::string out;
    ArchiveReader(path, key).read([&](const std::string& part, std::string_view piece) {
        if (part != name) return;
        if (out.size() + piece.size() > limit)
            throw ArchiveError("the archive's part '" + name + "' is too large");
        out += piece;
    });
    return out;
}

}  // namespace supd::backup
