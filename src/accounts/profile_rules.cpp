#include "profile_rules.hpp"

#include "username.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/base/error.hpp>
#include <supd/base/json_text.hpp>
#include <supd/crypto/password.hpp>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <cctype>
#include <stdexcept>

namespace supd::accounts {
namespace {

constexpr std::size_t kMinPhoneDigits = 7;
constexpr UChar32 kZeroWidthNonJoiner = 0x200C;
constexpr UChar32 kZeroWidthJoiner = 0x200D;  // family emoji and Indic scripts need the two

bool shown(UChar32 c) {
    if (c == kZeroWidthNonJoiner || c == kZeroWidthJoiner) return true;
    switch (u_charType(c)) {
        case U_CONTROL_CHAR:
        case U_FORMAT_CHAR:
        case U_SURROGATE:
        case U_PRIVATE_USE_CHAR:
        case U_UNASSIGNED:
        case U_LINE_SEPARATOR:
        case U_PARAGRAPH_SEPARATOR:
            return false;
        default:
            return true;
    }
}

std::string clean(std::string_view field, std::string_view text, std::size_t max_characters, bool lines) {
    UErrorCode status = U_ZERO_ERROR;
    const auto* nfc = icu::Normalizer2::getNFCInstance(status);
    auto shaped = icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
    if (U_SUCCESS(status)) shaped = nfc->normalize(shaped, status);
    if (U_FAILURE(status)) throw std::runtime_error("NFC");
    shaped.trim();
    if (static_cast<std::size_t>(shaped.countChar32()) > max_characters)
        throw base::invalid(std::string(field), "too_long", "The text is too long.");
    for (int32_t i = 0; i < shaped.length(); i = shaped.moveIndex32(i, 1)) {
        const auto c = shaped.char32At(i);
        if (!shown(c) && !(lines && c == '\n'))
            throw base::invalid(std::string(field), "bad_characters",
                                "The text holds characters that cannot be shown.");
    }
    std::string out;
    shaped.toUTF8String(out);
    return out;
}

base::Error bad_email() {
    return base::invalid("email", "bad_format", "This is not an e-mail address.");
}

bool good_domain(std::string_view domain) {
    if (domain.size() > 253 || domain.find('.') == std::string_view::npos) return false;
    while (true) {
        const auto dot = domain.find('.');
        const auto label = domain.substr(0, dot);
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
        for (const char c : label) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x80 && !std::isalnum(byte) && c != '-') return false;
        }
        if (dot == std::string_view::npos) return true;
        domain.remove_prefix(dot + 1);
    }
}

}  // namespace

std::string clean_name(std::string_view field, std::string_view text, std::size_t max_characters) {
    auto out = clean(field, text, max_characters, false);
    if (out.empty()) throw base::invalid(std::string(field), "too_short", "A name is not empty.");
    return out;
}

std::string clean_bio(std::string_view text) {
    return clean("bio", text, kMaxBio, true);
}

Email parse_email(std::string_view text) {
    const auto at = text.rfind('@');
    if (text.size() > kMaxEmailBytes || at == std::string_view::npos || at == 0 || at > kMaxEmailLocalBytes)
        throw bad_email();
    const auto local = text.substr(0, at);
    for (const char c : local) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte == 0x7F ||
            std::string_view("()<>[]\\,;:\"@").find(c) != std::string_view::npos)
            throw bad_email();
    }
    if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos)
        throw bad_email();
    if (!good_domain(text.substr(at + 1))) throw bad_email();
    return {std::string(text), fold_identifier(text)};
}

std::string parse_phone(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if ((c >= '0' && c <= '9') || (c == '+' && out.empty()))
            out += c;
        else if (std::string_view(" .-()").find(c) == std::string_view::npos)
            throw base::invalid("phone", "bad_format", "A phone number is '+', the country code and digits.");
    }
    if (!out.starts_with('+') || out.size() < 1 + kMinPhoneDigits || out.size() > kMaxPhoneBytes ||
        out[1] == '0')
        throw base::invalid("phone", "bad_format", "A phone number is '+', the country code and digits.");
    return out;
}

void require_password(std::string_view field, std::string_view password) {
    switch (crypto::check_password(password)) {
        case crypto::PasswordFault::none:
            return;
        case crypto::PasswordFault::too_short:
            throw base::invalid(std::string(field), "too_short", "A password has at least 8 characters.");
        case crypto::PasswordFault::too_long:
            throw base::invalid(std::string(field), "too_long", "A password has at most 128 characters.");
        case crypto::PasswordFault::not_text:
            throw base::invalid(std::string(field), "bad_format", "A password is UTF-8 text.");
    }
}

std::string cut_text(std::string_view text, std::size_t max_bytes) {
    text = base::cut_utf8(text, max_bytes);
    if (!base::is_utf8(text) || text.find('\0') != std::string_view::npos) return {};
    return std::string(text);
}

}  // namespace supd::accounts
