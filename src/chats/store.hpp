// All SQL of chats. db thread.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>
#include <supd/base/ids.hpp>
#include <supd/chats/membership.hpp>
#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace supd::chats {

using base::ChatId;
using base::UserId;

struct NewChat {
    ChatId id;
    Type type = Type::direct;
    std::optional<std::string> title;
    std::optional<std::string> context_type, context_id;
    std::string encryption = "none";
    std::vector<UserId> members;  ///< all, the creator among them; sorted, distinct
};

struct Member {
    UserId user;
    std::string username;
    std::string display_name;
    int power = kMemberPower;
    base::Millis joined_at = 0;
    std::int64_t read_seq = 0, delivered_seq = 0;
};

struct Header {
    Type type = Type::direct;
    std::optional<std::string> title;
    Status status = Status::active;
};

struct OwnSettings {
    std::optional<bool> mute, pin, archive;
    bool operator==(const OwnSettings&) const = default;
};

namespace store {

// -- store.cpp: chats
/// The ids of `users` that are active accounts.
std::vector<UserId> known_users(db::Transaction& tx, const std::vector<UserId>& users);
/// The user has created more than `chats` chats that are not deleted.
bool created_more(db::Transaction& tx, UserId user, std::size_t chats);
std::optional<ChatId> direct_chat(db::Transaction& tx, const NewChat& chat);
/// False when the id, also by a user, or the pair is taken.
bool insert_chat(db::Transaction& tx, UserId creator, const NewChat& chat);
void insert_head(db::Transaction& tx, ChatId chat);
void insert_founders(db::Transaction& tx, ChatId chat, const std::vector<UserId>& members, UserId owner,
                     int owner_power);
Header read_header(db::Transaction& tx, ChatId chat);
void write_title(db::Transaction& tx, ChatId chat, const std::optional<std::string>& title);
/// False when reopening would make a second open direct chat of the same two.
bool write_status(db::Transaction& tx, ChatId chat, Status status);
void mark_deleted(db::Transaction& tx, ChatId chat);

// -- store_members.cpp
std::vector<UserId> joined_users(db::Transaction& tx, ChatId chat);
std::vector<UserId> joined_among(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users);
/// At most `limit` of those `users` who are in `chats` chats or more.
std::vector<UserId> in_many_chats(db::Transaction& tx, const std::vector<UserId>& users, std::size_t chats,
                                  std::size_t limit);
/// Ascending by id, after `after`.
std::vector<Member> list_members(db::Transaction& tx, ChatId chat, const std::optional<UserId>& after,
                                 std::size_t limit);
std::vector<Member> read_members(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users);
/// Joined or joined again: they see what comes from `from_seq` on.
void join(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users, std::int64_t from_seq);
/// state: 1 left, 2 removed. They see nothing after `to_seq`.
void part(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users, int state, std::int64_t to_seq);
void write_power(db::Transaction& tx, ChatId chat, UserId user, int power);
/// Who owns the chat when its owner goes: the highest role, then the longest member.
std::optional<UserId> successor(db::Transaction& tx, ChatId chat, UserId owner);
OwnSettings read_settings(db::Transaction& tx, ChatId chat, UserId user);
void write_settings(db::Transaction& tx, ChatId chat, UserId user, const OwnSettings& changed);

}  // namespace store
}  // namespace supd::chats
