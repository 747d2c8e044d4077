// Chats, members and events of chats as JSON.
#pragma once

#include "store.hpp"

#include <supd/chats/chat.hpp>

#include <string>
#include <vector>

namespace supd::chats {

std::string chat_json(const Chat& chat);
std::string members_json(const std::vector<Member>& members, std::size_t limit);
std::string member_json(const Member& member);
std::string reads_json(const std::vector<Member>& members, std::size_t limit);
std::string settings_json(const OwnSettings& settings);

// Data of log entries.
std::string settings_data(ChatId chat, const OwnSettings& settings);
std::string created_data(const NewChat& chat, UserId creator, int owner_power);
std::string updated_data(ChatId chat, const Header& header, UserId actor);
std::string deleted_data(ChatId chat, UserId actor);
std::string added_data(const std::vector<UserId>& users, UserId actor);
std::string removed_data(UserId user, bool left, UserId actor);
std::string role_data(UserId user, int power, UserId actor);

}  // namespace supd::chats
