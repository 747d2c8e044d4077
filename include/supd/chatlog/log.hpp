// The log of a chat: every durable thing that happens in it is an entry with the chat's next seq and an id of
// its own. This is the only door through which entries are written and announced.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/db/transaction.hpp>
#include <supd/ws/hub.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace supd::chatlog {

namespace asio = boost::asio;

using base::ChangeId;
using base::ChatId;
using base::DeviceId;
using base::MessageId;
using base::SessionId;
using base::UserId;

/// Key of the chat's advisory lock.
std::int64_t lock_key(ChatId chat) noexcept;

/// Must be the first statement that a changing transaction makes for the chat, before its first write: it is
/// what makes commit order = seq order = transaction id order. db thread.
void lock_chat(db::Transaction& tx, ChatId chat);

/// Whether the user has deleted any message for themselves. db thread.
bool hides_any(db::Transaction& tx, UserId user);

/// A change that is not a plain message.
struct Change {
    ChatId chat;
    ChangeId id;       ///< made by the client, or ChangeId::make()
    std::string kind;  ///< the event's type: "message_edited", "member_added" ...
    UserId actor;
    std::optional<MessageId> message;  ///< what it changes
    std::vector<UserId>
        users;         ///< who joins (chat_created, member_added) or leaves (member_removed, chat_deleted)
    std::string data;  ///< JSON object, the same for every recipient
    /// All that the client chose beyond chat, actor, kind and message, as any text that nothing else gives.
    /// Kept as a digest, which tells a repeat from another change under the same id. Empty: chose nothing.
    std::string request;
};

struct Appended {
    ChangeId id;
    ChatId chat;
    std::int64_t seq = 0;
    base::Millis created_at = 0;
    /// The id was there already, for the same change: nothing was written.
    bool repeated = false;
    ws::ChatEvent event;  ///< to publish after COMMIT (empty frame when repeated)
};

/// True when the change id is known: fills what was stored. The caller answers with it and changes nothing.
/// Throws 409 `id_reused` when the id belongs to another chat, actor, kind, message or request.
std::optional<Appended> find_change(db::Transaction& tx, const Change& change);

/// Gives the chat's next seq to `change` and writes it. lock_chat must have been called in this transaction.
/// The seq that it will get can be put into data by the caller with next_seq(). Throws 409 `id_reused` when
/// the id was used in another chat at the same moment.
Appended append_change(db::Transaction& tx, const Change& change);
/// last_seq + 1 under the lock.
std::int64_t next_seq(db::Transaction& tx, ChatId chat);

/// `{"type":kind,"chat_id":...,"seq":...,"data":data}`.
std::string event_json(std::string_view kind, ChatId chat, std::int64_t seq, std::string_view data);

/// The stored form of a message, enough to write its JSON (protocol.md, section 2).
struct Message {
    MessageId id;
    ChatId chat;
    std::int64_t seq = 0;
    UserId sender;
    DeviceId sender_device;
    std::string type;
    std::optional<std::string> text;
    std::optional<MessageId> reply_to;
    std::string extra;  ///< JSON object with attachments, mentions, metadata, forwarded_from; may be empty
    base::Millis created_at = 0;
    std::optional<base::Millis> edited_at, deleted_at, expires_at;
};

struct ReactionCount {
    std::string emoji;
    std::int64_t count = 0;
    bool me = false;
};

/// A deleted message keeps id, chat, seq, sender, type and times, and loses everything else.
void append_message_json(std::string& out, const Message& message,
                         const std::vector<ReactionCount>& reactions = {});

/// Column list to select for read_message(row), alias `m`; and the reader of such a row starting at `column`.
extern const char* const kMessageColumns;
Message read_message(const db::Row& row, int column = 0);

/// The reactions to `m` in one column, as $1::uuid sees them; and their reader.
extern const char* const kReactionsColumn;
std::vector<ReactionCount> read_reactions(std::string_view text);

}  // namespace supd::chatlog
