#include "store.hpp"

#include <supd/db/database.hpp>

#include <algorithm>

namespace supd::chats::store {
namespace {

constexpr db::Statement kKnownUsers{"chats_known_users",
                                    "select id from users where id = any($1::uuid[]) and status = 'active'"};

constexpr db::Statement kCreatedMore{
    "chats_created_more",
    "select exists (select from chats where created_by = $1 and status <> 'deleted' offset $2)"};

constexpr db::Statement kDirectChat{
    "chats_direct",
    "select id from chats where type = 'direct' and status in ('active', 'archived') and direct_low = $1 and "
    "direct_high = $2 and coalesce(context_type, '') = coalesce($3, '') and coalesce(context_id, '') = "
    "coalesce($4, '')"};

// The hub knows a user's own log by the user's id: no chat may have it.
constexpr db::Statement kInsertChat{
    "chats_insert",
    "insert into chats (id, type, title, context_type, context_id, encryption, created_by, direct_low, "
    "direct_high, "
    "member_count) select $1::uuid, $2, $3, $4, $5, $6, $7::uuid, $8::uuid, $9::uuid, $10::int "
    "where not exists (select from users where id = $1::uuid) on conflict do nothing"};

constexpr db::Statement kInsertHead{"chats_insert_head", "insert into chat_heads (chat_id) values ($1)"};

constexpr db::Statement kInsertFounders{
    "chats_insert_founders",
    "insert into chat_members (chat_id, user_id, role, from_seq) "
    "select $1, u, case when u = $2::uuid then $3::int else 0 end, 1 from unnest($4::uuid[]) u"};

constexpr db::Statement kReadHeader{"chats_read_header",
                                    "select type, title, status from chats where id = $1"};

constexpr db::Statement kWriteTitle{"chats_write_title", "update chats set title = $2 where id = $1"};

// The condition tells what the index of pairs would refuse, but for what is not committed yet.
constexpr db::Statement kWriteStatus{
    "chats_write_status",
    "update chats c set status = $2 where id = $1 and not (type = 'direct' and status = 'closed' and exists ("
    "select from chats o where o.type = 'direct' and o.status in ('active', 'archived') and o.direct_low = "
    "c.direct_low "
    "and o.direct_high = c.direct_high and coalesce(o.context_type, '') = coalesce(c.context_type, '') "
    "and coalesce(o.context_id, '') = coalesce(c.context_id, '')))"};

constexpr db::Statement kMarkDeleted{"chats_mark_deleted",
                                     "update chats set status = 'deleted' where id = $1"};

}  // namespace

std::vector<UserId> known_users(db::Transaction& tx, const std::vector<UserId>& users) {
    std::vector<UserId> out;
    for (const auto row : tx.exec(kKnownUsers, users))
        out.push_back(row.id<UserId>(0));
    return out;
}

bool created_more(db::Transaction& tx, UserId user, std::size_t chats) {
    return tx.exec(kCreatedMore, user, static_cast<std::int64_t>(chats)).front().flag(0);
}

std::optional<ChatId> direct_chat(db::Transaction& tx, const NewChat& chat) {
    const auto rows =
        tx.exec(kDirectChat, chat.members.front(), chat.members.back(), chat.context_type, chat.context_id);
    if (rows.empty()) return std::nullopt;
    return rows.front().id<ChatId>(0);
}

bool insert_chat(db::Transaction& tx, UserId creator, const NewChat& chat) {
    std::optional<UserId> low, high;
    if (chat.type == Type::direct) {
        low = chat.members.front();
        high = chat.members.back();
    }
    return tx.exec(kInsertChat, chat.id, std::string(name_of(chat.type)), chat.title, chat.context_type,
                   chat.context_id, chat.encryption, creator, low, high,
                   static_cast<std::int64_t>(chat.members.size()))
               .affected() == 1;
}

void insert_head(db::Transaction& tx, ChatId chat) {
    tx.exec(kInsertHead, chat);
}

void insert_founders(db::Transaction& tx, ChatId chat, const std::vector<UserId>& members, UserId owner,
                     int owner_power) {
    tx.exec(kInsertFounders, chat, owner, owner_power, members);
}

Header read_header(db::Transaction& tx, ChatId chat) {
    const auto rows = tx.exec(kReadHeader, chat);
    const auto row = rows.front();
    Header out;
    out.type = type_named(row.view(0)).value();
    out.title = row.maybe_text(1);
    out.status = status_named(row.view(2));
    return out;
}

void write_title(db::Transaction& tx, ChatId chat, const std::optional<std::string>& title) {
    tx.exec(kWriteTitle, chat, title);
}

bool write_status(db::Transaction& tx, ChatId chat, Status status) {
    return tx.exec(kWriteStatus, chat, std::string(name_of(status))).affected() == 1;
}

void mark_deleted(db::Transaction& tx, ChatId chat) {
    tx.exec(kMarkDeleted, chat);
}

}  // namespace supd::chats::store
