// Read and delivered marks that moved, for those who were not told of them.
#include "store.hpp"

#include <supd/chatlog/reader.hpp>

#include <string>

namespace supd::chatlog::store {
namespace {

// Two statements in one: an OR over both would read every member of every large group.
constexpr db::Statement kMissedMarks{
    "log_missed_marks",
    "select i.ord, k.chat_id, k.user_id, k.read_seq, k.delivered_seq "
    "from unnest($1::uuid[], $2::bigint[]) with ordinality i (user_id, since, ord) "
    "join lateral ("
    "(select m.chat_id, m.user_id, m.read_seq, m.delivered_seq from chat_members m "
    " where m.user_id = i.user_id and m.state = 0 and m.marks_xid >= i.since::text::xid8 offset 0) "
    "union all "
    "(select o.chat_id, o.user_id, o.read_seq, o.delivered_seq from chat_members m "
    " join lateral (select from chats c where c.id = m.chat_id and c.member_count <= $3 offset 0) c on true "
    " join lateral (select * from chat_members q where q.chat_id = m.chat_id and q.user_id <> i.user_id "
    "               and q.state = 0 and q.marks_xid >= i.since::text::xid8 offset 0) o on true "
    " where m.user_id = i.user_id and m.state = 0) "
    "limit $4) k on true"};

constexpr db::Statement kMarkHeads{
    "log_mark_heads",
    "select h.owner_id, h.version from unnest($1::uuid[]) i (id) "
    "join lateral (select * from mark_heads q where q.owner_id = i.id offset 0) h on true "
    "where h.xid >= $2::text::xid8"};

// An owner is a chat, or a user of larger ones.
constexpr db::Statement kMarksOf{
    "log_marks_of",
    "select m.chat_id, m.user_id, m.read_seq, m.delivered_seq, false from unnest($1::uuid[]) i (id) "
    "join lateral (select * from chat_members q where q.chat_id = i.id and q.state = 0 "
    "              and q.marks_xid >= $2::text::xid8 offset 0) m on true "
    "union all "
    "select m.chat_id, m.user_id, m.read_seq, m.delivered_seq, true from unnest($1::uuid[]) i (id) "
    "join lateral (select * from chat_members q where q.user_id = i.id and q.state = 0 "
    "              and q.marks_xid >= $2::text::xid8 offset 0) m on true "
    "join lateral (select from chats c where c.id = m.chat_id and c.member_count > $3 offset 0) c on true"};

/// Calls `take` with the frame of each of the two marks that there is; columns chat, user, read, delivered.
template <class Take>
void each_mark(const db::Row& row, int c, Take take) {
    const auto frame = [&](std::string_view type, std::int64_t seq) {
        if (seq == 0) return;
        take(R"({"type":")" + std::string(type) + R"(","chat_id":")" + row.text(c) +
             R"(","data":{"user_id":")" + row.text(c + 1) + R"(","seq":)" + std::to_string(seq) + "}}");
    };
    frame("delivered", row.integer(c + 3));
    frame("read_receipt", row.integer(c + 2));
}

}  // namespace

std::vector<std::vector<std::string>> missed_marks(db::Transaction& tx,
                                                   const std::vector<ws::LogSource::MarksOf>& users) {
    std::vector<UserId> ids;
    std::vector<std::int64_t> since;
    for (const auto& one : users) {
        ids.push_back(one.user);
        since.push_back(static_cast<std::int64_t>(one.since_w));
    }
    std::vector<std::vector<std::string>> out(users.size());
    const auto rows = tx.exec(kMissedMarks, ids, since, static_cast<std::int64_t>(kMaxMarkMembers),
                              static_cast<std::int64_t>(kMaxMarks));
    for (const auto row : rows) {
        auto& mine = out.at(static_cast<std::size_t>(row.integer(0)) - 1);
        each_mark(row, 1, [&](std::string json) { mine.push_back(std::move(json)); });
    }
    return out;
}

std::vector<ws::LogSource::MarkHead> mark_heads(db::Transaction& tx, const std::vector<ws::MarkOwner>& owners,
                                                std::uint64_t since_w) {
    std::vector<ws::LogSource::MarkHead> out;
    const auto rows = tx.exec(kMarkHeads, owners, std::to_string(since_w));
    for (const auto row : rows)
        out.push_back({row.id<ws::MarkOwner>(0), row.integer(1)});
    return out;
}

std::vector<ws::Mark> marks_of(db::Transaction& tx, const std::vector<ws::MarkOwner>& owners,
                               std::uint64_t since_w) {
    std::vector<ws::Mark> out;
    const auto rows =
        tx.exec(kMarksOf, owners, std::to_string(since_w), static_cast<std::int64_t>(kMaxMarkMembers));
    for (const auto row : rows)
        each_mark(row, 0, [&](const std::string& json) {
            const auto only = row.flag(4) ? row.id<UserId>(1) : UserId();
            out.push_back({row.id<ChatId>(0), only, ws::make_frame(json)});
        });
    return out;
}

}  // namespace supd::chatlog::store
