// A long run of bytes, encrypted and authenticated in chunks under one key: libsodium's secretstream
// (XChaCha20-Poly1305). Chunks cannot be dropped, swapped, repeated or cut off unnoticed: each depends on the
// ones before it, and the last one is marked. One object per run, one thread at a time.
#pragma once

#include <supd/base/hex.hpp>
#include <supd/base/secret.hpp>
#include <supd/crypto/bytes.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace supd::crypto {

inline constexpr std::size_t kSealKeyBytes = 32;
inline constexpr std::size_t kSealHeaderBytes = 24;
inline constexpr std::size_t kSealOverheadBytes =
    17;  ///< by which a sealed chunk is longer than what it holds

class SealedWriter {
public:
    /// `key`: kSealKeyBytes bytes. `bound` is not stored but must be given again to open.
    SealedWriter(const base::Secret& key, std::string_view bound);
    ~SealedWriter();
    /// To be stored before the chunks.
    const std::string& header() const noexcept { return header_; }
    std::string seal(std::string_view plain, bool last);

private:
    struct State;
    std::unique_ptr<State> state_;
    std::string header_;
    std::string bound_;
};

class SealedReader {
public:
    /// Throws std::invalid_argument when `header` or `key` has another length.
    SealedReader(const base::Secret& key, std::string_view header, std::string_view bound);
    ~SealedReader();
    /// False when the chunk is not the next one that was written under this key; `plain` is then unspecified.
    bool open(std::string_view sealed, std::string& plain, bool& last);

private:
    struct State;
    std::unique_ptr<State> state_;
    std::string bound_;
};

/// SHA-256 of what comes piece by piece.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    void add(std::string_view bytes);
    /// Once; then the object is spent.
    Digest finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Lower-case hexadecimal.
inline std::string hex(std::string_view bytes) {
    return base::hex(std::as_bytes(std::span(bytes)));
}
inline std::string hex(const Digest& digest) {
    return hex(view_of(digest));
}

}  // namespace supd::crypto
