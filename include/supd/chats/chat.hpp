// A chat as one of its members sees it (protocol.md, section 2): what the chat list, a single chat and the
// snapshot of the sync all answer. One statement per page.
#pragma once

#include <supd/chatlog/log.hpp>
#include <supd/chats/membership.hpp>
#include <supd/db/transaction.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace supd::chats {

struct Chat {
    base::ChatId id;
    Type type = Type::direct;
    Status status = Status::active;
    std::optional<std::string> title;
    std::optional<std::string> context_type, context_id;
    std::string encryption;
    std::optional<base::UserId> peer;  ///< of a direct chat: the other one
    std::int64_t member_count = 0;
    int power = kMemberPower;
    std::int64_t from_seq = 0, last_seq = 0, read_seq = 0, delivered_seq = 0, unread = 0;
    bool mute = false, pin = false, archive = false;  ///< the member's own settings
    base::Millis created_at = 0;
    std::int64_t activity_us = 0;  ///< what the list is sorted by: microseconds since the epoch
    std::optional<chatlog::Message> last_message;
    std::vector<chatlog::ReactionCount> last_reactions;
};

/// Where a page ended: the next one holds what comes after it, latest activity first. At first: before all.
struct ListCursor {
    std::int64_t activity_us = std::numeric_limits<std::int64_t>::max();
    base::ChatId chat;

    std::string text() const;
    /// nullopt when `text` was not made by text().
    static std::optional<ListCursor> parse(std::string_view text);
};

/// At most `limit` chats of the user after a place: of the list, or by ascending id, an order that activity
/// cannot disturb between pages, for the snapshot. db thread.
std::vector<Chat> list_chats(db::Transaction& tx, base::UserId user,
                             const std::variant<ListCursor, base::ChatId>& after, std::size_t limit);
/// Throws the 404 of require_member.
Chat read_chat(db::Transaction& tx, base::ChatId chat, base::UserId user);

void append_chat_json(std::string& out, const Chat& chat);

}  // namespace supd::chats
