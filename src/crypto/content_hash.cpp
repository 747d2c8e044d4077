#include <supd/crypto/content_hash.hpp>

#include <sodium.h>

namespace supd::crypto {

ContentHash content_hash(std::string_view content) noexcept {
    ContentHash out;
    crypto_generichash(out.data(), out.size(), reinterpret_cast<const unsigned char*>(content.data()),
                       content.size(), nullptr, 0);
    return out;
}

}  // namespace supd::crypto
