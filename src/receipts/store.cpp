#include "store.hpp"

#include <supd/chatlog/reader.hpp>

namespace supd::receipts::store {
namespace {

constexpr db::Statement kMove{
    "receipts_move",
    "with wish as materialized (select i.chat_id, i.user_id, least(i.read_seq, h.last_seq) as read_seq, "
    "least(greatest(i.read_seq, i.delivered_seq), h.last_seq) as delivered_seq, v.read_seq as old_read, "
    "v.delivered_seq as old_delivered, c.member_count "
    "from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) as i (chat_id, user_id, read_seq, "
    "delivered_seq) "
    "join lateral (select * from chat_members q where q.chat_id = i.chat_id and q.user_id = i.user_id offset "
    "0) v on true "
    "join lateral (select * from chat_heads q where q.chat_id = i.chat_id offset 0) h on true "
    "join lateral (select * from chats q where q.id = i.chat_id offset 0) c on true "
    "where v.state = 0 and c.status <> 'deleted'), "
    "moved as (update chat_members m set read_seq = greatest(m.read_seq, w.read_seq), "
    "delivered_seq = greatest(m.delivered_seq, w.delivered_seq), marks_xid = pg_current_xact_id() from wish "
    "w "
    "where m.chat_id = w.chat_id and m.user_id = w.user_id and m.state = 0 "
    "and (w.read_seq > m.read_seq or w.delivered_seq > m.delivered_seq) "
    "returning m.chat_id, m.user_id, m.read_seq, m.delivered_seq, m.read_seq > w.old_read as read, "
    "m.delivered_seq > w.old_delivered as delivered, w.member_count, "
    "case when w.member_count <= $5 then m.chat_id else m.user_id end as owner_id), "
    // After all of the rows above, and sorted like them: no two processes wait for each other.
    "heads as (insert into mark_heads as h (owner_id, xid) "
    "select distinct owner_id, pg_current_xact_id() from moved order by 1 "
    "on conflict (owner_id) do update set version = h.version + 1, xid = excluded.xid "
    "returning owner_id, version) "
    "select v.chat_id, v.user_id, v.read_seq, v.delivered_seq, v.read, v.delivered, v.member_count, "
    "v.owner_id, h.version, (extract(epoch from clock_timestamp()) * 1000)::bigint "
    "from moved v join heads h on h.owner_id = v.owner_id order by v.owner_id"};

}  // namespace

std::vector<Moved> move(db::Transaction& tx, const std::vector<Mark>& marks) {
    std::vector<ChatId> chats;
    std::vector<UserId> users;
    std::vector<std::int64_t> read, delivered;
    for (const auto& mark : marks) {
        chats.push_back(mark.chat);
        users.push_back(mark.user);
        read.push_back(mark.read);
        delivered.push_back(mark.delivered);
    }
    std::vector<Moved> out;
    const auto rows =
        tx.exec(kMove, chats, users, read, delivered, static_cast<std::int64_t>(chatlog::kMaxMarkMembers));
    for (const auto row : rows) {
        Moved one;
        one.mark.chat = row.id<ChatId>(0);
        one.mark.user = row.id<UserId>(1);
        one.mark.read = row.integer(2);
        one.mark.delivered = row.integer(3);
        one.read = row.flag(4);
        one.delivered = row.flag(5);
        one.member_count = row.integer(6);
        one.owner = row.id<ws::MarkOwner>(7);
        one.version = row.integer(8);
        one.at = row.integer(9);
        out.push_back(one);
    }
    return out;
}

}  // namespace supd::receipts::store
