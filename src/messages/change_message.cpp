#include "rules.hpp"
#include "wire.hpp"

#include <supd/base/error.hpp>
#include <supd/messages/limits.hpp>

namespace supd::messages {
namespace {

chatlog::Change change_of(const Act& act, ChatId chat, std::string kind) {
    chatlog::Change change;
    change.chat = chat;
    change.id = act.change;
    change.kind = std::move(kind);
    change.actor = act.actor;
    change.message = act.message;
    return change;
}

Done done_of(chatlog::Appended appended) {
    Done done;
    done.id = appended.id;
    done.chat = appended.chat;
    done.seq = appended.seq;
    done.created_at = appended.created_at;
    if (!appended.repeated) done.events.push_back(std::move(appended.event));
    return done;
}

/// Nothing changed: the entry that made it so, or the message itself where there is none.
Done done_of(const Act& act, const Target& target, const std::optional<Known>& known) {
    Done done;
    done.id.bytes = known ? known->id.bytes : act.message.bytes;
    done.chat = target.chat;
    done.seq = known ? known->seq : target.seq;
    done.created_at = known ? known->created_at : target.created_at;
    return done;
}

/// The chat of the message, locked. Its chat never changes, so reading it before the lock is safe.
ChatId lock_chat_of(db::Transaction& tx, MessageId message) {
    const auto chat = store::chat_of(tx, message);
    if (!chat) throw base::not_found();
    chatlog::lock_chat(tx, *chat);
    return *chat;
}

struct Seen {
    chats::Membership me;
    Target target;
};

/// Membership and message as they are under the lock; 404 for what the actor may not see.
Seen see(db::Transaction& tx, const Act& act, ChatId chat) {
    Seen seen;
    seen.me = chats::require_member(tx, chat, act.actor);
    auto target = store::target(tx, act.message, act.actor);
    if (!target || target->seq < seen.me.from_seq || target->hidden) throw base::not_found();
    seen.target = std::move(*target);
    return seen;
}

void require_not_deleted(const Target& target) {
    if (target.deleted || target.due)
        throw base::conflict("message_deleted", "The message has been deleted.");
}

}  // namespace

Done edit(db::Transaction& tx, const Act& act, const std::string& text) {
    const auto chat = lock_chat_of(tx, act.message);
    auto change = change_of(act, chat, "message_edited");
    change.request = text;
    if (auto known = chatlog::find_change(tx, change)) return done_of(std::move(*known));
    const auto seen = see(tx, act, chat);
    if (seen.target.sender != act.actor) throw base::forbidden("Only its sender can edit a message.");
    if (seen.me.type == chats::Type::channel && !seen.me.at_least(chats::kAdminPower))
        throw base::forbidden();
    chats::require_active(seen.me);
    require_not_deleted(seen.target);
    if (seen.target.type != "text")
        throw base::invalid("text", "not_text", "Only text messages can be edited.");
    if (store::edit_count(tx, act.message) >= kMaxEdits)
        throw base::conflict("too_many_edits", "The message has been edited too often.");
    const auto at = store::write_text(tx, act.message, chatlog::next_seq(tx, chat), text);
    // All members get the same entry: what one of them may not read does not stand in it.
    const bool all_see = !chats::joined_after(tx, chat, seen.target.seq);
    change.data = edited_data(act.message, seen.target.sender,
                              all_see ? std::optional<std::string_view>(text) : std::nullopt, at);
    return done_of(chatlog::append_change(tx, change));
}

Done remove(db::Transaction& tx, const Act& act) {
    const auto chat = lock_chat_of(tx, act.message);
    auto change = change_of(act, chat, "message_deleted");
    if (auto known = chatlog::find_change(tx, change)) return done_of(std::move(*known));
    const auto seen = see(tx, act, chat);
    const bool moderates = seen.me.type != chats::Type::direct && seen.me.at_least(chats::kAdminPower);
    if (seen.target.sender != act.actor && !moderates) throw base::forbidden();
    if (seen.target.deleted) {
        const auto known = store::latest_change(tx, act.message, change.kind, std::nullopt, std::nullopt);
        return done_of(act, seen.target, known);
    }
    change.data = deleted_data(act.message, act.actor, store::scrub(tx, act.message));
    return done_of(chatlog::append_change(tx, change));
}

Done expire(db::Transaction& tx, MessageId message) {
    Act act;
    act.message = message;
    act.change = ChangeId::make();
    const auto chat = lock_chat_of(tx, message);
    const auto sender = store::sender_if_due(tx, message);
    if (!sender) return {};
    act.actor = *sender;
    auto change = change_of(act, chat, "message_deleted");
    change.data = deleted_data(message, std::nullopt, store::scrub(tx, message));
    return done_of(chatlog::append_change(tx, change));
}

Done react(db::Transaction& tx, const Act& act, const std::string& emoji, bool add) {
    const auto chat = lock_chat_of(tx, act.message);
    auto change = change_of(act, chat, add ? "reaction_added" : "reaction_removed");
    change.request = emoji;
    if (auto known = chatlog::find_change(tx, change)) return done_of(std::move(*known));
    const auto seen = see(tx, act, chat);
    chats::require_active(seen.me);
    require_not_deleted(seen.target);
    const bool changed = add ? store::add_reaction(tx, act.message, act.actor, emoji)
                             : store::remove_reaction(tx, act.message, act.actor, emoji);
    if (!changed) {
        const auto known = store::latest_change(tx, act.message, change.kind, act.actor, emoji);
        return done_of(act, seen.target, known);
    }
    const auto counts = store::count_reactions(tx, act.message, act.actor, emoji);
    if (add && (counts.of_user > kMaxReactionsPerUser || counts.kinds > kMaxReactionKinds))
        throw base::conflict("too_many_reactions", "The message has all the reactions that it can take.");
    change.data = reaction_data(act.message, act.actor, emoji, counts.of_emoji);
    return done_of(chatlog::append_change(tx, change));
}

chatlog::Message hide(db::Transaction& tx, UserId user, MessageId message) {
    auto item = visible_message(tx, message, user);
    store::hide(tx, message, user);
    return std::move(item.message);
}

void check_emoji(const std::string& emoji) {
    const auto refuse = [] { throw base::invalid("emoji", "bad_format", "One emoji is expected."); };
    if (emoji.empty() || emoji.size() > kMaxEmojiBytes) refuse();
    for (const char c : emoji)
        if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') refuse();
}

}  // namespace supd::messages
