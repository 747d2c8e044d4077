#include "username.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/base/error.hpp>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uspoof.h>

#include <array>
#include <memory>
#include <set>
#include <stdexcept>

namespace supd::accounts {
namespace {

// Names that would let their owner speak for the server, and words that URLs use in place of a name.
constexpr std::array kReserved = {
    "admin",     "administrator", "root",      "system",     "support", "supd",      "help",     "security",
    "abuse",     "postmaster",    "webmaster", "hostmaster", "info",    "noreply",   "no-reply", "server",
    "moderator", "official",      "staff",     "owner",      "bot",     "api",       "me",       "everyone",
    "all",       "here",          "channel",   "anonymous",  "null",    "undefined", "deleted"};

struct SpoofCloser {
    void operator()(USpoofChecker* checker) const { uspoof_close(checker); }
};

void require(UErrorCode status, const char* what) {
    if (U_FAILURE(status)) throw std::runtime_error(std::string(what) + ": " + u_errorName(status));
}

// Immutable once made, so that all threads share it (ICU's promise for const use).
const USpoofChecker& checker() {
    static const auto made = [] {
        UErrorCode status = U_ZERO_ERROR;
        std::unique_ptr<USpoofChecker, SpoofCloser> out(uspoof_open(&status));
        require(status, "uspoof_open");
        uspoof_setChecks(out.get(), USPOOF_RESTRICTION_LEVEL | USPOOF_INVISIBLE | USPOOF_MIXED_NUMBERS,
                         &status);
        uspoof_setRestrictionLevel(out.get(), USPOOF_MODERATELY_RESTRICTIVE);
        require(status, "uspoof_setChecks");
        return out;
    }();
    return *made;
}

const icu::Normalizer2& nfkc() {
    UErrorCode status = U_ZERO_ERROR;
    const auto* out = icu::Normalizer2::getNFKCInstance(status);
    require(status, "NFKC");
    return *out;
}

icu::UnicodeString fold(const icu::UnicodeString& text) {
    UErrorCode status = U_ZERO_ERROR;
    const auto* folding = icu::Normalizer2::getNFKCCasefoldInstance(status);
    require(status, "NFKC_Casefold");
    auto out = folding->normalize(text, status);
    require(status, "NFKC_Casefold");
    return out;
}

std::string utf8(const icu::UnicodeString& text) {
    std::string out;
    text.toUTF8String(out);
    return out;
}

// Folded once more because the skeleton of 0 is a capital O: g00gle must look like google.
std::string skeleton_of(const icu::UnicodeString& key) {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeString out;
    uspoof_getSkeletonUnicodeString(&checker(), 0, key, out, &status);
    require(status, "uspoof_getSkeleton");
    return utf8(fold(out));
}

bool is_reserved(const std::string& skeleton) {
    static const auto skeletons = [] {
        std::set<std::string> out;
        for (const auto* name : kReserved)
            out.insert(skeleton_of(icu::UnicodeString::fromUTF8(name)));
        return out;
    }();
    return skeletons.contains(skeleton);
}

// Fillers, joiners and variation selectors are letters or marks to Unicode, and nothing to the eye.
bool invisible(UChar32 c) {
    return u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0;
}

bool allowed(UChar32 c, bool first) {
    if (invisible(c)) return false;
    switch (u_charType(c)) {
        case U_UPPERCASE_LETTER:
        case U_LOWERCASE_LETTER:
        case U_TITLECASE_LETTER:
        case U_MODIFIER_LETTER:
        case U_OTHER_LETTER:
        case U_DECIMAL_DIGIT_NUMBER:
            return true;
        case U_NON_SPACING_MARK:  // Thai or Devanagari cannot be written without marks
        case U_COMBINING_SPACING_MARK:
            return !first;
        default:
            return !first && (c == '.' || c == '_' || c == '-');
    }
}

base::Error refuse(std::string code, std::string detail) {
    return base::invalid("username", std::move(code), std::move(detail));
}

}  // namespace

Username parse_username(std::string_view text) {
    if (text.size() > kMaxIdentifierBytes) throw refuse("too_long", "The username is too long.");
    UErrorCode status = U_ZERO_ERROR;
    const auto display = nfkc().normalize(
        icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())}), status);
    require(status, "NFKC");
    const auto length = static_cast<std::size_t>(display.countChar32());
    if (length < kMinUsername) throw refuse("too_short", "A username has at least 3 characters.");
    if (length > kMaxUsername) throw refuse("too_long", "A username has at most 32 characters.");
    for (int32_t i = 0; i < display.length(); i = display.moveIndex32(i, 1))
        if (!allowed(display.char32At(i), i == 0))
            throw refuse(
                "bad_characters",
                "A username holds letters, digits, '.', '_' and '-', and starts with a letter or digit.");

    const auto key = fold(display);
    const auto found = uspoof_checkUnicodeString(&checker(), key, nullptr, &status);
    require(status, "uspoof_check");
    if (found != 0) throw refuse("mixed_scripts", "A username keeps to one script.");

    Username out{utf8(display), utf8(key), skeleton_of(key)};
    if (is_reserved(out.skeleton)) throw refuse("reserved", "This username is reserved.");
    return out;
}

std::string fold_identifier(std::string_view text) {
    return utf8(fold(icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())})));
}

}  // namespace supd::accounts
