// Who may do what to which chat: asked here and nowhere else, on fresh rows, in the transaction that acts. A
// changing transaction calls chatlog::lock_chat first, so that what is answered here still holds when it
// commits.
#pragma once

#include <supd/base/ids.hpp>
#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace supd::chats {

/// Roles are labels over a power.
inline constexpr int kMemberPower = 0;
inline constexpr int kAdminPower = 50;
inline constexpr int kOwnerPower = 100;

enum class Type { direct, group, channel };
enum class Status { active, archived, closed };

std::string_view name_of(Type type) noexcept;
std::string_view name_of(Status status) noexcept;
std::optional<Type> type_named(std::string_view name) noexcept;
Status status_named(std::string_view name) noexcept;
/// owner, admin or member.
std::string_view role_name(int power) noexcept;

/// A joined member of a chat that is not deleted.
struct Membership {
    base::ChatId chat;
    base::UserId user;
    Type type = Type::direct;
    Status status = Status::active;
    int power = kMemberPower;
    std::int64_t from_seq = 0;  ///< entries before it do not exist for this member
    std::int64_t last_seq = 0;
    std::int64_t read_seq = 0;
    std::int64_t member_count = 0;

    bool at_least(int wanted) const noexcept { return power >= wanted; }
};

/// Throws the same 404 when there is no such chat and when the user is not (or no longer) in it. db thread.
Membership require_member(db::Transaction& tx, base::ChatId chat, base::UserId user);
/// Somebody has joined after `seq`, and so may not see the entries up to it.
bool joined_after(db::Transaction& tx, base::ChatId chat, std::int64_t seq);
/// 403 when the chat is archived or closed: it takes no more messages, edits or reactions.
void require_active(const Membership& membership);

}  // namespace supd::chats
