#include <supd/crypto/sealed_stream.hpp>

#include <sodium.h>

#include <stdexcept>
#include <utility>

namespace supd::crypto {
namespace {

static_assert(kSealKeyBytes == crypto_secretstream_xchacha20poly1305_KEYBYTES);
static_assert(kSealHeaderBytes == crypto_secretstream_xchacha20poly1305_HEADERBYTES);
static_assert(kSealOverheadBytes == crypto_secretstream_xchacha20poly1305_ABYTES);

const unsigned char* in(std::string_view bytes) noexcept {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* out(std::string& bytes) noexcept {
    return reinterpret_cast<unsigned char*>(bytes.data());
}

void require_key(const base::Secret& key) {
    if (key.reveal().size() != kSealKeyBytes) throw std::invalid_argument("a key has 32 bytes");
}

}  // namespace

struct SealedWriter::State {
    crypto_secretstream_xchacha20poly1305_state stream;
    ~State() { sodium_memzero(&stream, sizeof stream); }
};

SealedWriter::SealedWriter(const base::Secret& key, std::string_view bound)
    : state_(std::make_unique<State>()), header_(kSealHeaderBytes, '\0'), bound_(bound) {
    require_key(key);
    crypto_secretstream_xchacha20poly1305_init_push(&state_->stream, out(header_), in(key.reveal()));
}

SealedWriter::~SealedWriter() = default;

std::string SealedWriter::seal(std::string_view plain, bool last) {
    std::string sealed(plain.size() + kSealOverheadBytes, '\0');
    const unsigned char tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                   : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
    crypto_secretstream_xchacha20poly1305_push(&state_->stream, out(sealed), nullptr, in(plain), plain.size(),
                                               in(bound_), bound_.size(), tag);
    return sealed;
}

struct SealedReader::State {
    crypto_secretstream_xchacha20poly1305_state stream;
    ~State() { sodium_memzero(&stream, sizeof stream); }
};

SealedReader::SealedReader(const base::Secret& key, std::string_view header, std::string_view bound)
    : state_(std::make_unique<State>()), bound_(bound) {
    require_key(key);
    if (header.size() != kSealHeaderBytes ||
        crypto_secretstream_xchacha20poly1305_init_pull(&state_->stream, in(header), in(key.reveal())) != 0)
        throw std::invalid_argument("not the header of a sealed stream");
}

SealedReader::~SealedReader() = default;

bool SealedReader::open(std::string_view sealed, std::string& plain, bool& last) {
    if (sealed.size() < kSealOverheadBytes) return false;
    plain.resize(sealed.size() - kSealOverheadBytes);
    unsigned char tag = 0;
    if (crypto_secretstream_xchacha20poly1305_pull(&state_->stream, out(plain), nullptr, &tag, in(sealed),
                                                   sealed.size(), in(bound_), bound_.size()) != 0)
        return false;
    last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    return true;
}

struct Sha256::State {
    crypto_hash_sha256_state hash;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    crypto_hash_sha256_init(&state_->hash);
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
    crypto_hash_sha256_update(&state_->hash, in(bytes), bytes.size());
}

Digest Sha256::finish() {
    Digest digest;
    crypto_hash_sha256_final(&state_->hash, digest.data());
    return digest;
}

}  // namespace supd::crypto
