#include "rules.hpp"
#include "wire.hpp"

#include <supd/chats/limits.hpp>

#include <algorithm>

namespace supd::chats {
namespace {

/// The id of the chat_created entry is the chat's own: the chat id is what a client retries with.
chatlog::Change creation(const NewChat& chat, UserId creator, int owner_power) {
    chatlog::Change change;
    change.chat = chat.id;
    change.id.bytes = chat.id.bytes;
    change.kind = "chat_created";
    change.actor = creator;
    change.users = chat.members;
    change.data = change.request = created_data(chat, creator, owner_power);
    for (const auto& user : chat.members)  // the data of a large chat leaves them out
        user.append_to(change.request);
    return change;
}

}  // namespace

Made create_chat(db::Transaction& tx, UserId creator, NewChat chat) {
    chat.members.push_back(creator);
    std::ranges::sort(chat.members);
    const auto twice = std::ranges::unique(chat.members);
    chat.members.erase(twice.begin(), twice.end());
    const bool direct = chat.type == Type::direct;
    if (direct && chat.members.size() != 2)
        throw base::invalid("member_ids", "one_other", "A direct chat is with exactly one other person.");
    if (chat.members.size() > kMaxMembers)
        throw base::invalid("member_ids", "too_many",
                            "A chat has at most " + std::to_string(kMaxMembers) + " members.");
    if (store::known_users(tx, chat.members).size() != chat.members.size())
        throw base::invalid("member_ids", "unknown_user", "Not all of these people exist.");

    Made made;
    made.chat = chat.id;
    if (direct) {
        if (const auto same = store::direct_chat(tx, chat)) {
            made.chat = *same;
            return made;
        }
    }
    chatlog::lock_chat(tx, chat.id);
    const int owner_power = direct ? kMemberPower : kOwnerPower;  // the two of a direct chat are equals
    const auto change = creation(chat, creator, owner_power);
    if (!store::insert_chat(tx, creator, chat)) {
        if (direct) {
            if (const auto same = store::direct_chat(tx, chat)) {  // the other one was faster
                made.chat = *same;
                return made;
            }
        }
        if (chatlog::find_change(tx, change)) return made;
        throw base::conflict("id_reused", "This id was used for something else.");
    }
    if (store::created_more(tx, creator, kMaxChatsCreated))
        throw base::conflict("too_many_chats", "You have opened too many chats to open another.");
    require_room(tx, "member_ids", chat.members);
    store::insert_head(tx, chat.id);
    store::insert_founders(tx, chat.id, chat.members, creator, owner_power);
    made.created = true;
    made.events.add(chatlog::append_change(tx, change));
    return made;
}

}  // namespace supd::chats
