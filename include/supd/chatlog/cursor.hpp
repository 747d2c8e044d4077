// A device's place in everything it may see: the stream epoch, and W - all entries of transactions below W
// are had. A page of a catch-up carries where the next page goes on. Opaque to clients (base64url text);
// forging one gains nothing, since every read asks for membership again.
#pragma once

#include <supd/base/ids.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace supd::chatlog {

struct Cursor {
    base::Uuid epoch{};
    std::uint64_t w = 0;
    struct Page {
        std::uint64_t upto_w = 0;  ///< the cursor that the last page will give
        base::ChatId chat;         ///< chats are read in the order of their ids: this one next ...
        std::int64_t after = 0;    ///< ... behind this seq; kSnapshot = a page of the snapshot's chat list
    };
    std::optional<Page> page;

    static constexpr std::int64_t kSnapshot = -1;

    std::string encode() const;
    static std::optional<Cursor> decode(std::string_view text);
};

}  // namespace supd::chatlog
