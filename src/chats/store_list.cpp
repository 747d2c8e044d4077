#include <supd/base/error.hpp>
#include <supd/chats/chat.hpp>
#include <supd/chats/limits.hpp>

#include <string>

namespace supd::chats {
namespace {

// `v` is the page of memberships, already cut to its rows: what follows runs once per row of the page.
// Entries before from_seq do not exist for the member, so a chat joined lately sorts by the joining and shows
// no older message.
// Messages are cut to kLookBack before they are judged, or own, deleted and hidden ones were read without
// end.
const std::string kView =
    "select v.chat_id, v.type, v.title, v.context_type, v.context_id, v.status, v.encryption, "
    "v.member_count, "
    "case when v.direct_low = $1::uuid then v.direct_high else v.direct_low end, "
    "(extract(epoch from v.created_at) * 1000)::bigint, v.role, v.from_seq, v.last_seq, v.read_seq, "
    "v.delivered_seq, "
    "coalesce((v.settings->>'mute')::boolean, false), coalesce((v.settings->>'pin')::boolean, false), "
    "coalesce((v.settings->>'archive')::boolean, false), v.activity, "
    "(select count(*) filter (where n.sender_id <> $1::uuid and n.deleted_at is null "
    "and (n.expires_at is null or n.expires_at > now()) and "
    // Hardly anybody hides anything: asked once, not for each message.
    "(not (select exists (select from message_hidden h where h.user_id = $1::uuid)) or "
    "not exists (select from message_hidden d where d.user_id = $1::uuid and d.message_id = n.id))) from "
    "(select q.id, q.sender_id, q.deleted_at, q.expires_at from messages q where q.chat_id = v.chat_id "
    "and q.seq > greatest(v.read_seq, v.from_seq - 1) order by q.seq desc limit " +
    std::to_string(kLookBack) + ") n), m.id is not null, " + chatlog::kReactionsColumn + ", " +
    chatlog::kMessageColumns +
    " from v left join lateral (select * from (select * from messages q where q.chat_id = v.chat_id "
    "and q.seq >= v.from_seq and q.seq <= v.last_message_seq order by q.seq desc limit " +
    std::to_string(kLookBack) +
    ") q where not exists (select from message_hidden d where d.user_id = $1::uuid "
    "and d.message_id = q.id) order by q.seq desc limit 1) m on true ";

const std::string kRows =
    "select y.*, c.type, c.title, c.context_type, c.context_id, c.status, c.encryption, c.member_count, "
    "c.direct_low, "
    "c.direct_high, c.created_at, h.last_seq, h.last_message_seq, (extract(epoch from case when "
    "h.last_message_seq >= y.from_seq then h.last_message_at else y.joined_at end) * 1000000)::bigint as "
    "activity "
    "from chat_members y join chats c on c.id = y.chat_id join chat_heads h on h.chat_id = y.chat_id "
    "where y.user_id = $1::uuid and y.state = 0 and c.status <> 'deleted' ";

const std::string kListSql = "with v as materialized (select * from (" + kRows +
                             ") x where (activity, chat_id) < ($2::bigint, $3::uuid) "
                             "order by activity desc, chat_id desc limit $4) " +
                             kView + "order by v.activity desc, v.chat_id desc";
const std::string kAfterSql = "with v as materialized (" + kRows +
                              " and y.chat_id > $2::uuid order by y.chat_id limit $3) " + kView +
                              "order by v.chat_id";
const std::string kOneSql = "with v as materialized (" + kRows + " and y.chat_id = $2::uuid) " + kView;

const db::Statement kList{"chats_list", kListSql.c_str()};
const db::Statement kAfter{"chats_after", kAfterSql.c_str()};
const db::Statement kOne{"chats_one", kOneSql.c_str()};

Chat chat_of(const db::Row& row) {
    Chat out;
    out.id = row.id<base::ChatId>(0);
    out.type = type_named(row.view(1)).value();
    out.title = row.maybe_text(2);
    out.context_type = row.maybe_text(3);
    out.context_id = row.maybe_text(4);
    out.status = status_named(row.view(5));
    out.encryption = row.text(6);
    out.member_count = row.integer(7);
    if (out.type == Type::direct) out.peer = row.maybe_id<base::UserId>(8);
    out.created_at = row.integer(9);
    out.power = static_cast<int>(row.integer(10));
    out.from_seq = row.integer(11);
    out.last_seq = row.integer(12);
    out.read_seq = row.integer(13);
    out.delivered_seq = row.integer(14);
    out.mute = row.flag(15);
    out.pin = row.flag(16);
    out.archive = row.flag(17);
    out.activity_us = row.integer(18);
    out.unread = row.integer(19);
    if (row.flag(20)) {
        out.last_reactions = chatlog::read_reactions(row.view(21));
        out.last_message = chatlog::read_message(row, 22);
    }
    return out;
}

}  // namespace

std::vector<Chat> list_chats(db::Transaction& tx, base::UserId user,
                             const std::variant<ListCursor, base::ChatId>& after, std::size_t limit) {
    const auto cap = static_cast<std::int64_t>(limit);
    const auto* place = std::get_if<ListCursor>(&after);
    const auto rows = place ? tx.exec(kList, user, place->activity_us, place->chat, cap)
                            : tx.exec(kAfter, user, std::get<base::ChatId>(after), cap);
    std::vector<Chat> out;
    out.reserve(rows.size());
    for (const auto row : rows)
        out.push_back(chat_of(row));
    return out;
}

Chat read_chat(db::Transaction& tx, base::ChatId chat, base::UserId user) {
    const auto rows = tx.exec(kOne, user, chat);
    if (rows.empty()) throw base::not_found();
    return chat_of(rows.front());
}

}  // namespace supd::chats
