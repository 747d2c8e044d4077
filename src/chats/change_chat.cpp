#include "rules.hpp"
#include "wire.hpp"

namespace supd::chats {
namespace {

Events append_updated(db::Transaction& tx, const Act& act, chatlog::Change change) {
    change.data = updated_data(act.chat, store::read_header(tx, act.chat), act.actor);
    Events events;
    events.add(chatlog::append_change(tx, change));
    return events;
}

}  // namespace

chatlog::Change change_of(const Act& act, std::string kind) {
    chatlog::Change change;
    change.chat = act.chat;
    change.id = act.change;
    change.kind = std::move(kind);
    change.actor = act.actor;
    return change;
}

base::Error another_chat_is_open() {
    return base::conflict("direct_chat_open", "There is another open chat of the same two people.");
}

Events edit_chat(db::Transaction& tx, const Act& act, const std::optional<std::string>& title) {
    chatlog::lock_chat(tx, act.chat);
    const auto me = require_member(tx, act.chat, act.actor);
    auto change = change_of(act, "chat_updated");
    change.request = title ? "title=" + *title : "no title";
    if (chatlog::find_change(tx, change)) return {};
    if (me.type == Type::direct)
        throw base::conflict("direct_chat", "A direct chat has no title of its own.");
    if (!me.at_least(kAdminPower)) throw base::forbidden();
    require_active(me);
    if (store::read_header(tx, act.chat).title == title) return {};
    store::write_title(tx, act.chat, title);
    return append_updated(tx, act, std::move(change));
}

Events change_status(db::Transaction& tx, const Act& act, Status status) {
    chatlog::lock_chat(tx, act.chat);
    const auto me = require_member(tx, act.chat, act.actor);
    auto change = change_of(act, "chat_updated");
    change.request = "status=" + std::string(name_of(status));
    if (chatlog::find_change(tx, change)) return {};
    if (me.type != Type::direct && !me.at_least(kAdminPower)) throw base::forbidden();
    if (me.status == status) return {};
    if (me.status == Status::closed && status == Status::archived)
        throw base::conflict("chat_closed", "A closed chat must be reopened first.");
    if (!store::write_status(tx, act.chat, status)) throw another_chat_is_open();
    return append_updated(tx, act, std::move(change));
}

Events delete_chat(db::Transaction& tx, const Act& act) {
    chatlog::lock_chat(tx, act.chat);
    auto change = change_of(act, "chat_deleted");
    if (chatlog::find_change(tx, change)) return {};
    const auto me = require_member(tx, act.chat, act.actor);
    if (!me.at_least(kOwnerPower)) throw base::forbidden();
    change.users = store::joined_users(tx, act.chat);
    change.data = deleted_data(act.chat, act.actor);
    auto appended = chatlog::append_change(tx, change);
    store::part(tx, act.chat, change.users, 1, appended.seq);
    store::mark_deleted(tx, act.chat);
    Events events;
    events.add(std::move(appended));
    return events;
}

}  // namespace supd::chats
