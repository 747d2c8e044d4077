#include "rules.hpp"
#include "wire.hpp"

#include <supd/chatlog/user_log.hpp>

namespace supd::chats {

EditedSettings edit_settings(db::Transaction& tx, ChatId chat, UserId user, const OwnSettings& wanted) {
    chatlog::lock_user_log(tx, user);
    require_member(tx, chat, user);
    const auto before = store::read_settings(tx, chat, user);
    store::write_settings(tx, chat, user, wanted);
    EditedSettings out;
    out.settings = store::read_settings(tx, chat, user);
    if (out.settings != before)
        out.events.list.push_back(
            chatlog::append_user_event(tx, user, "settings_updated", settings_data(chat, out.settings)));
    return out;
}

}  // namespace supd::chats
