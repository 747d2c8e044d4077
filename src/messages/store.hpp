// All SQL of messages. db thread.
#pragma once

#include <supd/chatlog/log.hpp>
#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace supd::messages {

using base::ChatId;
using base::MessageId;
using base::Millis;
using base::UserId;
using chatlog::ChangeId;

struct Item {
    chatlog::Message message;
    std::vector<chatlog::ReactionCount> reactions;
};

/// What a change needs to know of its message.
struct Target {
    ChatId chat;
    std::int64_t seq = 0;
    Millis created_at = 0;
    UserId sender;
    std::string type;
    bool deleted = false;
    bool due = false;     ///< its time is over: gone for all, also while its deletion waits for the worker
    bool hidden = false;  ///< from the one who asks
};

struct Edit {
    std::int64_t seq = 0;  ///< of the change that replaced the text
    std::string text;
    Millis replaced_at = 0;
};

struct Reaction {
    UserId user;
    std::string emoji;
    Millis at = 0;
};

/// A change of a message that is in the log.
struct Known {
    ChangeId id;
    std::int64_t seq = 0;
    Millis created_at = 0;
};

namespace store {

// -- store_read.cpp
/// How far the chat's log is in this snapshot; 0 when the chat is not there.
std::int64_t last_seq(db::Transaction& tx, ChatId chat);
/// Messages of the chat that `user` has not hidden, with seq >= from: the `limit` before (after) `seq`,
/// ascending.
std::vector<Item> before(db::Transaction& tx, ChatId chat, UserId user, std::int64_t from, std::int64_t seq,
                         std::size_t limit);
std::vector<Item> after(db::Transaction& tx, ChatId chat, UserId user, std::int64_t from, std::int64_t seq,
                        std::size_t limit);
/// Those among them that answer `root`, after `seq`.
std::vector<Item> replies(db::Transaction& tx, ChatId chat, UserId user, std::int64_t from, MessageId root,
                          std::int64_t seq, std::size_t limit);
std::optional<Item> one(db::Transaction& tx, MessageId message, UserId user);
/// Earlier texts of a message, the oldest first, after the one that was replaced at `after`.
std::vector<Edit> edits(db::Transaction& tx, MessageId message, std::int64_t after, std::size_t limit);
/// Ascending by person and emoji, after `after`.
std::vector<Reaction> reactions(db::Transaction& tx, MessageId message, const std::optional<Reaction>& after,
                                std::size_t limit);

// -- store.cpp
std::optional<ChatId> chat_of(db::Transaction& tx, MessageId message);
std::optional<Target> target(db::Transaction& tx, MessageId message, UserId user);
/// The latest change of this kind to the message; of reactions the one of this person with this emoji.
std::optional<Known> latest_change(db::Transaction& tx, MessageId message, std::string_view kind,
                                   const std::optional<UserId>& actor,
                                   const std::optional<std::string>& emoji);
std::int64_t edit_count(db::Transaction& tx, MessageId message);
/// Keeps the old text under the change's seq; returns edited_at.
Millis write_text(db::Transaction& tx, MessageId message, std::int64_t change_seq, const std::string& text);
/// Takes content, digest, earlier texts and reactions away, and texts and digests from earlier message_edited
/// entries, so that catching up does not bring them back. Returns deleted_at.
Millis scrub(db::Transaction& tx, MessageId message);
void hide(db::Transaction& tx, MessageId message, UserId user);
/// Messages whose time is over, the oldest first.
std::vector<MessageId> due(db::Transaction& tx, std::size_t limit);
/// The sender, when the message's time is over and it is still there.
std::optional<UserId> sender_if_due(db::Transaction& tx, MessageId message);
struct ReactionCounts {
    std::int64_t of_user = 0, kinds = 0, of_emoji = 0;
};
ReactionCounts count_reactions(db::Transaction& tx, MessageId message, UserId user, const std::string& emoji);
/// False when it was there (not there) already.
bool add_reaction(db::Transaction& tx, MessageId message, UserId user, const std::string& emoji);
bool remove_reaction(db::Transaction& tx, MessageId message, UserId user, const std::string& emoji);

}  // namespace store
}  // namespace supd::messages
