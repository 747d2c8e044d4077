// What the other fields of a profile and a device may be. Each throws 422 naming `field`. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace supd::accounts {

/// Names that people see: NFC, trimmed, not empty, no control or direction-changing characters.
std::string clean_name(std::string_view field, std::string_view text, std::size_t max_characters);

/// Text of several lines, NFC, trimmed; may be empty.
std::string clean_bio(std::string_view text);

struct Email {
    std::string display;
    std::string key;
};
/// An address in the everyday form local@domain.tld (RFC 5321 without quoting and literals).
Email parse_email(std::string_view text);
/// E.164: '+' and 7 to 15 digits; spaces, dots, dashes and brackets between them are dropped.
std::string parse_phone(std::string_view text);
/// Throws for a password that check_password refuses.
void require_password(std::string_view field, std::string_view password);
/// At most max_bytes of `text`, cut between characters; what is not UTF-8 becomes empty.
std::string cut_text(std::string_view text, std::size_t max_bytes);

}  // namespace supd::accounts
