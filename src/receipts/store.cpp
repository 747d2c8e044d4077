#include "store.hpp"

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
    "where v.state = 0 and c.status <> 'deleted') "
    "update chat_members m set read_seq = greatest(m.read_seq, w.read_seq), "
    "delivered_seq = greatest(m.delivered_seq, w.delivered_seq), marks_xid = pg_current_xact_id() from wish "
    "w "
    "where m.chat_id = w.chat_id and m.user_id = w.user_id and m.state = 0 "
    "and (w.read_seq > m.read_seq or w.delivered_seq > m.delivered_seq) "
    "returning m.chat_id, m.user_id, m.read_seq, m.delivered_seq, m.read_seq > w.old_read, "
    "m.delivered_seq > w.old_delivered, w.member_count, (extract(epoch from clock_timestamp()) * "
    "1000)::bigint"};

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
    const auto rows = tx.exec(kMove, chats, users, read, delivered);
    for (const auto row : rows) {
        Moved one;
        one.mark.chat = row.id<ChatId>(0);
        one.mark.user = row.id<UserId>(1);
        one.mark.read = row.integer(2);
        one.mark.delivered = row.integer(3);
        one.read = row.flag(4);
        one.delivered = row.flag(5);
        one.member_count = row.integer(6);
        one.at = row.integer(7);
        out.push_back(one);
    }
    return out;
}

}  // namespace supd::receipts::store
