#include <supd/crypto/access_token.hpp>
#include <supd/crypto/bytes.hpp>

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace supd::crypto {
namespace {

constexpr std::string_view kAudience = "supd";
constexpr std::size_t kSignatureText = 43;
constexpr std::size_t kClaimsCap = 1024;
/// No key of ours ever signs for longer; a leaked old configuration cannot either.
constexpr std::int64_t kMaxLifetimeS = 24 * 3600;

bool plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(".:/_-").find(c) != std::string_view::npos;
    });
}

// Takes the claims apart in the one order in which sign() writes them.
class ClaimScanner {
public:
    explicit ClaimScanner(std::string_view text) : rest_(text) {}

    bool literal(std::string_view expected) noexcept {
        if (!rest_.starts_with(expected)) return false;
        rest_.remove_prefix(expected.size());
        return true;
    }
    template <class Tag>
    bool id(base::Id<Tag>& out) noexcept {
        if (rest_.size() < base::kUuidText) return false;
        const auto text = rest_.substr(0, base::kUuidText);
        const auto bytes = base::parse_uuid(text);
        if (!bytes || std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; }))
            return false;
        out.bytes = *bytes;
        rest_.remove_prefix(base::kUuidText);
        return true;
    }
    bool seconds(std::int64_t& out) noexcept {
        if (rest_.empty() || rest_.front() < '1' || rest_.front() > '9') return false;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
        if (error != std::errc{}) return false;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        return true;
    }
    bool at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
};

}  // namespace

struct AccessTokens::Key {
    std::string header;                     // base64url of the one header this key has, with the dot
    crypto_auth_hmacsha256_state prepared;  // the key already absorbed: two blocks less per token

    explicit Key(const std::string& secret) {
        const auto signing = hmac_sha256(secret, "supd access token HS256 v1");
        const auto name = hmac_sha256(secret, "supd access token kid v1");
        const auto kid = base64url(view_of(name).substr(0, 9));
        header = base64url(R"({"alg":"HS256","typ":"JWT","kid":")" + kid + R"("})") + ".";
        crypto_auth_hmacsha256_init(&prepared, signing.data(), signing.size());
    }
    Digest sign(std::string_view signed_part) const noexcept {
        auto state = prepared;
        crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(signed_part.data()),
                                      signed_part.size());
        Digest out;
        crypto_auth_hmacsha256_final(&state, out.data());
        return out;
    }
};

AccessTokens::AccessTokens(const std::vector<base::Secret>& secrets, const std::string& issuer,
                           std::chrono::seconds lifetime)
    : lifetime_(lifetime) {
    if (secrets.empty()) throw std::invalid_argument("no secret for access tokens");
    for (const auto& secret : secrets) {
        if (secret.reveal().size() < kMinSecretBytes)
            throw std::invalid_argument("a secret for access tokens is too short");
        keys_.emplace_back(secret.reveal());
    }
    if (issuer.empty() || issuer.size() > 255 || !plain(issuer))
        throw std::invalid_argument("the issuer of access tokens must be a plain name");
    if (lifetime.count() <= 0 || lifetime.count() > kMaxLifetimeS)
        throw std::invalid_argument("the lifetime of access tokens is out of range");
    claims_prefix_ = R"({"iss":")" + issuer + R"(","aud":")" + std::string(kAudience) + R"(","sub":")";
}

AccessTokens::~AccessTokens() = default;

std::string AccessTokens::sign(base::UserId user, base::SessionId session, base::DeviceId device,
                               base::Millis now_ms) const {
    const auto issued = now_ms / 1000;
    auto claims = claims_prefix_;
    user.append_to(claims);
    claims += R"(","sid":")";
    session.append_to(claims);
    claims += R"(","did":")";
    device.append_to(claims);
    claims += R"(","iat":)" + std::to_string(issued) + R"(,"exp":)" +
              std::to_string(issued + lifetime_.count()) + "}";
    const auto& key = keys_.front();
    auto token = key.header + base64url(claims);
    const auto signature = key.sign(token);
    token += '.';
    token += base64url(signature);
    return token;
}

TokenFault AccessTokens::verify(std::string_view token, base::Millis now_ms,
                                AccessClaims& claims) const noexcept {
    if (token.size() > kMaxAccessToken || token.size() < kSignatureText + 2) return TokenFault::invalid;
    const auto key =
        std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return token.starts_with(k.header); });
    if (key == keys_.end()) return TokenFault::invalid;

    const auto dot = token.size() - kSignatureText - 1;
    if (token[dot] != '.' || dot < key->header.size()) return TokenFault::invalid;
    Digest given;
    if (!from_base64url(token.substr(dot + 1), given)) return TokenFault::invalid;
    const auto expected = key->sign(token.substr(0, dot));
    if (!constant_time_equal(view_of(given), view_of(expected))) return TokenFault::invalid;

    const auto encoded = token.substr(key->header.size(), dot - key->header.size());
    std::array<std::uint8_t, kClaimsCap> buffer;
    const auto size = encoded.size() * 3 / 4;
    if (size > buffer.size() || !from_base64url(encoded, {buffer.data(), size})) return TokenFault::invalid;
    ClaimScanner scan({reinterpret_cast<const char*>(buffer.data()), size});
    AccessClaims found;
    if (!(scan.literal(claims_prefix_) && scan.id(found.user) && scan.literal(R"(","sid":")") &&
          scan.id(found.session) && scan.literal(R"(","did":")") && scan.id(found.device) &&
          scan.literal(R"(","iat":)") && scan.seconds(found.issued_at_s) && scan.literal(R"(,"exp":)") &&
          scan.seconds(found.expires_at_s) && scan.literal("}") && scan.at_end()))
        return TokenFault::invalid;

    const auto now_s = now_ms / 1000;
    const auto leeway = kClockLeeway.count();
    if (found.issued_at_s > now_s + leeway || found.expires_at_s <= found.issued_at_s ||
        found.expires_at_s - found.issued_at_s > kMaxLifetimeS)
        return TokenFault::invalid;
    if (found.expires_at_s + leeway <= now_s) return TokenFault::expired;
    claims = found;
    return TokenFault::none;
}

}  // namespace supd::crypto
