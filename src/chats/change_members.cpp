#include "rules.hpp"
#include "wire.hpp"

#include <supd/base/json.hpp>
#include <supd/chats/limits.hpp>

#include <algorithm>

namespace supd::chats {
namespace {

constexpr int kLeft = 1;
constexpr int kRemoved = 2;

Membership require_group_member(db::Transaction& tx, const Act& act) {
    auto me = require_member(tx, act.chat, act.actor);
    if (me.type == Type::direct)
        throw base::conflict("direct_chat", "The two people of a direct chat stay what they are.");
    return me;
}

chatlog::Change role_change(const Act& act, UserId user, int power) {
    auto change = change_of(act, "member_updated");
    change.data = change.request = role_data(user, power, act.actor);
    return change;
}

void write_role(db::Transaction& tx, Events& events, const chatlog::Change& change, UserId user, int power) {
    store::write_power(tx, change.chat, user, power);
    events.add(chatlog::append_change(tx, change));
}

/// Another role that changes by the same act: an entry of its own.
void write_other_role(db::Transaction& tx, Events& events, Act act, UserId user, int power) {
    act.change = ChangeId::make();
    write_role(tx, events, role_change(act, user, power), user, power);
}

}  // namespace

void require_room(db::Transaction& tx, const std::string& field, const std::vector<UserId>& users) {
    std::vector<base::FieldError> faults;
    for (const auto& user : store::in_many_chats(tx, users, kMaxChatsPerUser, base::kMaxFaults))
        faults.push_back({field, "too_many_chats", user.text() + " is in too many chats."});
    if (!faults.empty())
        throw base::Error(409, "member_in_too_many_chats", "Not all of these people can join another chat.",
                          std::move(faults));
}

Events add_members(db::Transaction& tx, const Act& act, std::vector<UserId> users) {
    chatlog::lock_chat(tx, act.chat);
    const auto me = require_group_member(tx, act);
    std::ranges::sort(users);
    const auto twice = std::ranges::unique(users);
    users.erase(twice.begin(), twice.end());
    auto change = change_of(act, "member_added");
    change.request = added_data(users, act.actor);  // also those who turn out to be members already
    if (chatlog::find_change(tx, change)) return {};
    if (!me.at_least(kAdminPower)) throw base::forbidden();
    require_active(me);
    const auto joined = store::joined_among(tx, act.chat, users);
    std::erase_if(users, [&](const UserId& user) { return std::ranges::binary_search(joined, user); });
    if (users.empty()) return {};
    if (static_cast<std::size_t>(me.member_count) + users.size() > kMaxMembers)
        throw base::invalid("user_ids", "too_many",
                            "A chat has at most " + std::to_string(kMaxMembers) + " members.");
    if (store::known_users(tx, users).size() != users.size())
        throw base::invalid("user_ids", "unknown_user", "Not all of these people exist.");
    require_room(tx, "user_ids", users);
    store::join(tx, act.chat, users, chatlog::next_seq(tx, act.chat));
    change.data = added_data(users, act.actor);
    change.users = std::move(users);
    Events events;
    events.add(chatlog::append_change(tx, change));
    return events;
}

Events remove_member(db::Transaction& tx, const Act& act, UserId target) {
    chatlog::lock_chat(tx, act.chat);
    const bool leaves = target == act.actor;
    auto change = change_of(act, "member_removed");
    change.data = change.request = removed_data(target, leaves, act.actor);
    if (chatlog::find_change(tx, change)) return {};
    const auto me = require_group_member(tx, act);
    const auto who = store::read_members(tx, act.chat, {target});
    if (who.empty()) throw base::not_found();
    if (!leaves && (!me.at_least(kAdminPower) || me.power <= who.front().power)) throw base::forbidden();

    Events events;
    const bool last = me.member_count == 1;
    if (who.front().power == kOwnerPower && !last) {
        const auto heir = store::successor(tx, act.chat, target).value();
        store::write_power(tx, act.chat, target,
                           kMemberPower);  // never two owners, not even between two statements
        write_other_role(tx, events, act, heir, kOwnerPower);
    }
    change.users.push_back(target);
    auto appended = chatlog::append_change(tx, change);
    store::part(tx, act.chat, change.users, leaves ? kLeft : kRemoved, appended.seq);
    if (last) store::mark_deleted(tx, act.chat);
    events.add(std::move(appended));
    return events;
}

Events change_role(db::Transaction& tx, const Act& act, UserId target, int power) {
    chatlog::lock_chat(tx, act.chat);
    const auto me = require_group_member(tx, act);
    const auto change = role_change(act, target, power);
    if (chatlog::find_change(tx, change)) return {};
    const auto who = store::read_members(tx, act.chat, {target});
    if (who.empty()) throw base::not_found();
    const int now = who.front().power;
    const bool steps_down = target == act.actor && power < now;
    if (steps_down && now == kOwnerPower)
        throw base::conflict("last_owner", "Transfer the chat before giving up its ownership.");
    if (!steps_down && (me.power <= now || me.power <= power)) throw base::forbidden();
    Events events;
    if (now != power) write_role(tx, events, change, target, power);
    return events;
}

Events transfer(db::Transaction& tx, const Act& act, UserId heir) {
    chatlog::lock_chat(tx, act.chat);
    const auto me = require_group_member(tx, act);
    const auto change = role_change(act, heir, kOwnerPower);
    if (chatlog::find_change(tx, change)) return {};
    if (!me.at_least(kOwnerPower)) throw base::forbidden();
    if (heir == act.actor) return {};
    if (store::joined_among(tx, act.chat, {heir}).empty())
        throw base::invalid("user_id", "not_a_member", "The chat can only be handed to one of its members.");
    Events events;
    write_other_role(tx, events, act, act.actor, kAdminPower);
    write_role(tx, events, change, heir, kOwnerPower);
    return events;
}

}  // namespace supd::chats
