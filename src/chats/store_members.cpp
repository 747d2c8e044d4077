#include "store.hpp"

namespace supd::chats {
namespace {

constexpr db::Statement kMembership{
    "chats_membership",
    "select c.type, c.status, v.role, v.from_seq, h.last_seq, v.read_seq, c.member_count "
    "from chat_members v join chats c on c.id = v.chat_id join chat_heads h on h.chat_id = v.chat_id "
    "where v.chat_id = $1 and v.user_id = $2 and v.state = 0 and c.status <> 'deleted'"};

constexpr db::Statement kJoinedAfter{
    "chats_joined_after",
    "select exists (select from chat_members where chat_id = $1 and state = 0 and from_seq > $2)"};

constexpr db::Statement kJoinedUsers{
    "chats_joined_users",
    "select user_id from chat_members where chat_id = $1 and state = 0 order by user_id"};

constexpr db::Statement kJoinedAmong{"chats_joined_among",
                                     "select user_id from chat_members where chat_id = $1 and user_id = "
                                     "any($2::uuid[]) and state = 0 order by user_id"};

constexpr db::Statement kInManyChats{
    "chats_in_many_chats",
    "select u from unnest($1::uuid[]) u where exists "
    "(select from chat_members v where v.user_id = u and v.state = 0 offset $2 - 1) limit $3"};

const std::string kMemberRows =
    "select v.user_id, u.username, u.display_name, v.role, (extract(epoch from v.joined_at) * 1000)::bigint, "
    "v.read_seq, v.delivered_seq from chat_members v join users u on u.id = v.user_id "
    "where v.chat_id = $1 and v.state = 0 ";
const std::string kListMembersSql =
    kMemberRows +
    "and v.user_id > coalesce($2, '00000000-0000-0000-0000-000000000000')::uuid order by v.user_id limit $3";
const std::string kReadMembersSql = kMemberRows + "and v.user_id = any($2::uuid[]) order by v.user_id";
const db::Statement kListMembers{"chats_list_members", kListMembersSql.c_str()};
const db::Statement kReadMembers{"chats_read_members", kReadMembersSql.c_str()};

constexpr db::Statement kJoin{
    "chats_join",
    "with joined as (insert into chat_members (chat_id, user_id, from_seq, read_seq, delivered_seq) "
    "select $1, u, $3::bigint, $3::bigint, $3::bigint from unnest($2::uuid[]) u "
    "on conflict (chat_id, user_id) do update set role = 0, state = 0, from_seq = excluded.from_seq, to_seq "
    "= null, "
    "epoch = chat_members.epoch + 1, read_seq = excluded.read_seq, delivered_seq = excluded.delivered_seq, "
    "settings = '{}', joined_at = now(), xid = pg_current_xact_id(), marks_xid = pg_current_xact_id() "
    "returning 1) "
    "update chats set member_count = member_count + (select count(*) from joined) where id = $1"};

constexpr db::Statement kPart{
    "chats_part",
    "with parted as (update chat_members set state = $3, role = 0, to_seq = $4, epoch = epoch + 1, "
    "xid = pg_current_xact_id() where chat_id = $1 and user_id = any($2::uuid[]) and state = 0 returning 1) "
    "update chats set member_count = member_count - (select count(*) from parted) where id = $1"};

constexpr db::Statement kWritePower{
    "chats_write_power",
    "update chat_members set role = $3, epoch = epoch + 1 where chat_id = $1 and user_id = $2 and state = 0"};

constexpr db::Statement kSuccessor{
    "chats_successor",
    "select user_id from chat_members where chat_id = $1 and user_id <> $2 and state = 0 "
    "order by role desc, joined_at, from_seq, user_id limit 1"};

constexpr db::Statement kReadSettings{
    "chats_read_settings",
    "select coalesce((settings->>'mute')::boolean, false), coalesce((settings->>'pin')::boolean, false), "
    "coalesce((settings->>'archive')::boolean, false) from chat_members where chat_id = $1 and user_id = $2"};

constexpr db::Statement kWriteSettings{
    "chats_write_settings",
    "update chat_members set settings = settings || jsonb_strip_nulls(jsonb_build_object('mute', "
    "$3::boolean, "
    "'pin', $4::boolean, 'archive', $5::boolean)) where chat_id = $1 and user_id = $2 and state = 0"};

std::vector<Member> members_of(const db::Rows& rows) {
    std::vector<Member> out;
    out.reserve(rows.size());
    for (const auto row : rows) {
        Member one;
        one.user = row.id<UserId>(0);
        one.username = row.text(1);
        one.display_name = row.text(2);
        one.power = static_cast<int>(row.integer(3));
        one.joined_at = row.integer(4);
        one.read_seq = row.integer(5);
        one.delivered_seq = row.integer(6);
        out.push_back(std::move(one));
    }
    return out;
}

std::vector<UserId> users_of(const db::Rows& rows) {
    std::vector<UserId> out;
    out.reserve(rows.size());
    for (const auto row : rows)
        out.push_back(row.id<UserId>(0));
    return out;
}

}  // namespace

Membership require_member(db::Transaction& tx, ChatId chat, UserId user) {
    const auto rows = tx.exec(kMembership, chat, user);
    if (rows.empty()) throw base::not_found();
    const auto row = rows.front();
    Membership out;
    out.chat = chat;
    out.user = user;
    out.type = type_named(row.view(0)).value();
    out.status = status_named(row.view(1));
    out.power = static_cast<int>(row.integer(2));
    out.from_seq = row.integer(3);
    out.last_seq = row.integer(4);
    out.read_seq = row.integer(5);
    out.member_count = row.integer(6);
    return out;
}

bool joined_after(db::Transaction& tx, ChatId chat, std::int64_t seq) {
    return tx.exec(kJoinedAfter, chat, seq).front().flag(0);
}

namespace store {

std::vector<UserId> joined_users(db::Transaction& tx, ChatId chat) {
    return users_of(tx.exec(kJoinedUsers, chat));
}

std::vector<UserId> joined_among(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users) {
    return users_of(tx.exec(kJoinedAmong, chat, users));
}

std::vector<UserId> in_many_chats(db::Transaction& tx, const std::vector<UserId>& users, std::size_t chats,
                                  std::size_t limit) {
    return users_of(
        tx.exec(kInManyChats, users, static_cast<std::int64_t>(chats), static_cast<std::int64_t>(limit)));
}

std::vector<Member> list_members(db::Transaction& tx, ChatId chat, const std::optional<UserId>& after,
                                 std::size_t limit) {
    return members_of(tx.exec(kListMembers, chat, after, static_cast<std::int64_t>(limit)));
}

std::vector<Member> read_members(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users) {
    return members_of(tx.exec(kReadMembers, chat, users));
}

void join(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users, std::int64_t from_seq) {
    tx.exec(kJoin, chat, users, from_seq);
}

void part(db::Transaction& tx, ChatId chat, const std::vector<UserId>& users, int state,
          std::int64_t to_seq) {
    tx.exec(kPart, chat, users, state, to_seq);
}

void write_power(db::Transaction& tx, ChatId chat, UserId user, int power) {
    tx.exec(kWritePower, chat, user, power);
}

std::optional<UserId> successor(db::Transaction& tx, ChatId chat, UserId owner) {
    const auto rows = tx.exec(kSuccessor, chat, owner);
    if (rows.empty()) return std::nullopt;
    return rows.front().id<UserId>(0);
}

OwnSettings read_settings(db::Transaction& tx, ChatId chat, UserId user) {
    const auto rows = tx.exec(kReadSettings, chat, user);
    OwnSettings out;
    out.mute = rows.front().flag(0);
    out.pin = rows.front().flag(1);
    out.archive = rows.front().flag(2);
    return out;
}

void write_settings(db::Transaction& tx, ChatId chat, UserId user, const OwnSettings& changed) {
    tx.exec(kWriteSettings, chat, user, changed.mute, changed.pin, changed.archive);
}

}  // namespace store
}  // namespace supd::chats
