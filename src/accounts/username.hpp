// What a username may be. Three forms: as written (NFKC), as looked up (NFKC_Casefold), and as seen (UTS 39
// skeleton). Any thread.
#pragma once

#include <string>
#include <string_view>

namespace supd::accounts {

struct Username {
    std::string display;
    std::string key;
    std::string skeleton;
};

/// Throws 422 with code too_short, too_long, bad_characters, mixed_scripts or reserved for what is none.
Username parse_username(std::string_view text);
/// The form that sign-in looks up; makes no judgement. Also folds e-mail addresses.
std::string fold_identifier(std::string_view text);

}  // namespace supd::accounts
