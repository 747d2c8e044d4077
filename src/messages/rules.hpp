// What may happen to a message after it was stored, without HTTP or WebSocket: each function is one
// transaction's work on a db thread, under the chat's lock. A repeated change id changes nothing and answers
// what was stored.
#pragma once

#include "store.hpp"

#include <supd/chats/membership.hpp>
#include <supd/ws/hub.hpp>

namespace supd::messages {

struct Act {
    UserId actor;
    MessageId message;
    ChangeId change;
};

/// The entry that a change has become, or had become before; the message itself where nothing was to be
/// changed and no entry says so.
struct Done {
    ChangeId id;
    ChatId chat;
    std::int64_t seq = 0;
    Millis created_at = 0;
    std::vector<ws::ChatEvent> events;  ///< to publish after COMMIT; empty when nothing was written
};

Done edit(db::Transaction& tx, const Act& act, const std::string& text);
Done remove(db::Transaction& tx, const Act& act);
/// The clock's deletion, in the sender's name. No events when there is nothing to do (any more).
Done expire(db::Transaction& tx, MessageId message);
Done react(db::Transaction& tx, const Act& act, const std::string& emoji, bool add);
/// For the caller alone; no entry of the log. Returns what is hidden now.
chatlog::Message hide(db::Transaction& tx, UserId user, MessageId message);

/// Throws 422 unless it can be a reaction: 1 to kMaxEmojiBytes bytes without spaces and control characters.
void check_emoji(const std::string& emoji);

struct Page {
    std::vector<Item> items;
    bool has_more = false;
    std::size_t from = 0;  ///< index: when not all fit, those around it stay
};
enum class From { newest, before, after, around };
/// Membership and rows of one snapshot: call under Access::snapshot.
Page history(db::Transaction& tx, ChatId chat, UserId user, From from, std::int64_t seq, std::size_t limit);
/// The same of a replica for a member as the primary has them: nothing when it lacks entries that they may
/// have seen already.
std::optional<Page> history_of_replica(db::Transaction& tx, const chats::Membership& me, From from,
                                       std::int64_t seq, std::size_t limit);
/// 404 unless the user may see it.
Item visible_message(db::Transaction& tx, MessageId message, UserId user);

}  // namespace supd::messages
