// What may happen to a chat, without HTTP: each function is one transaction's work on a db thread, checks
// rights under the chat's lock, and returns the entries to publish after COMMIT. A repeated change id changes
// nothing; only those who leave or delete by the change may repeat it without being members any more.
#pragma once

#include "store.hpp"

#include <supd/base/error.hpp>
#include <supd/chatlog/log.hpp>

#include <optional>
#include <vector>

namespace supd::chats {

using chatlog::ChangeId;

struct Events {
    std::vector<ws::ChatEvent> list;
    void add(chatlog::Appended appended) {
        if (!appended.repeated) list.push_back(std::move(appended.event));
    }
};

/// Who asks, about which chat, under which id of the change.
struct Act {
    UserId actor;
    ChatId chat;
    ChangeId change;
};

/// An entry of this kind under the act's id; who asks for it says with what in `request` and `data`.
chatlog::Change change_of(const Act& act, std::string kind);

/// Throws 409 `member_in_too_many_chats`, naming them under `field`, unless all of `users` can join one more.
void require_room(db::Transaction& tx, const std::string& field, const std::vector<UserId>& users);

struct Made {
    ChatId chat;
    bool created = false;  ///< false: the same chat was there already
    Events events;
};

base::Error another_chat_is_open();

Made create_chat(db::Transaction& tx, UserId creator, NewChat chat);
/// `title`: the new one, nullopt in the inner optional removes it.
Events edit_chat(db::Transaction& tx, const Act& act, const std::optional<std::string>& title);
/// Throws another_chat_is_open() when that would make two open direct chats of the same two people. Of two
/// that are reopened at the same moment, one is refused by db::ConstraintViolation instead.
Events change_status(db::Transaction& tx, const Act& act, Status status);
Events delete_chat(db::Transaction& tx, const Act& act);

struct EditedSettings {
    OwnSettings settings;
    Events events;  ///< of the user's own log; none when nothing changed
};
/// The member's own: what `wanted` does not name stays.
EditedSettings edit_settings(db::Transaction& tx, ChatId chat, UserId user, const OwnSettings& wanted);

Events add_members(db::Transaction& tx, const Act& act, std::vector<UserId> users);
/// target == actor: leaves. An owner who leaves hands the chat to the highest role and longest member; the
/// last one out deletes it.
Events remove_member(db::Transaction& tx, const Act& act, UserId target);
Events change_role(db::Transaction& tx, const Act& act, UserId target, int power);
Events transfer(db::Transaction& tx, const Act& act, UserId heir);

}  // namespace supd::chats
