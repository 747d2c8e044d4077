#include "store.hpp"

#include <algorithm>

namespace supd::messages::store {
namespace {

const std::string kItem = std::string("select ") + chatlog::kReactionsColumn + ", " +
                          chatlog::kMessageColumns + " from messages m ";

const std::string kSeen =
    "and m.seq >= $3 and not exists (select from message_hidden d where d.user_id = $1::uuid and "
    "d.message_id = m.id) ";

const std::string kBeforeSql =
    kItem + "where m.chat_id = $2 and m.seq < $4 " + kSeen + "order by m.seq desc limit $5";
const std::string kAfterSql =
    kItem + "where m.chat_id = $2 and m.seq > $4 " + kSeen + "order by m.seq limit $5";
const std::string kRepliesSql =
    kItem + "where m.chat_id = $2 and m.reply_to = $6 and m.seq > $4 " + kSeen + "order by m.seq limit $5";
const std::string kOneSql = kItem + "where m.id = $2";
const db::Statement kBefore{"messages_before", kBeforeSql.c_str()};
const db::Statement kAfter{"messages_after", kAfterSql.c_str()};
const db::Statement kReplies{"messages_replies", kRepliesSql.c_str()};
const db::Statement kOne{"messages_one", kOneSql.c_str()};

constexpr db::Statement kLastSeq{"messages_last_seq", "select last_seq from chat_heads where chat_id = $1"};

constexpr db::Statement kEdits{
    "messages_edits",
    "select e.seq, e.text, (extract(epoch from e.edited_at) * 1000)::bigint from "
    "message_edits e join messages m on m.id = e.message_id where e.message_id = $1 and e.seq > $2 and "
    "(m.expires_at is null or m.expires_at > now()) order by e.seq limit $3"};

constexpr db::Statement kReactions{
    "messages_reactions",
    "select user_id, emoji, (extract(epoch from created_at) * 1000)::bigint from message_reactions "
    "where message_id = $1 and (user_id, emoji) > ($2::uuid, $3::text) order by user_id, emoji limit $4"};

Item item_of(const db::Row& row) {
    Item out;
    out.reactions = chatlog::read_reactions(row.view(0));
    out.message = chatlog::read_message(row, 1);
    return out;
}

std::vector<Item> items_of(const db::Rows& rows) {
    std::vector<Item> out;
    out.reserve(rows.size());
    for (const auto row : rows)
        out.push_back(item_of(row));
    return out;
}

}  // namespace

std::vector<Item> before(db::Transaction& tx, ChatId chat, UserId user, std::int64_t from, std::int64_t seq,
                         std::size_t limit) {
    auto out = items_of(tx.exec(kBefore, user, chat, from, seq, static_cast<std::int64_t>(limit)));
    std::ranges::reverse(out);
    return out;
}

std::vector<Item> after(db::Transaction& tx, ChatId chat, UserId user, std::int64_t from, std::int64_t seq,
                        std::size_t limit) {
    return items_of(tx.exec(kAfter, user, chat, from, seq, static_cast<std::int64_t>(limit)));
}

std::vector<Item> replies(db::Transaction& tx, ChatId chat, UserId user, std::int64_t from, MessageId root,
                          std::int64_t seq, std::size_t limit) {
    return items_of(tx.exec(kReplies, user, chat, from, seq, static_cast<std::int64_t>(limit), root));
}

std::optional<Item> one(db::Transaction& tx, MessageId message, UserId user) {
    const auto rows = tx.exec(kOne, user, message);
    if (rows.empty()) return std::nullopt;
    return item_of(rows.front());
}

std::vector<Edit> edits(db::Transaction& tx, MessageId message, std::int64_t after, std::size_t limit) {
    std::vector<Edit> out;
    for (const auto row : tx.exec(kEdits, message, after, static_cast<std::int64_t>(limit))) {
        Edit one;
        one.seq = row.integer(0);
        one.text = row.text(1);
        one.replaced_at = row.integer(2);
        out.push_back(std::move(one));
    }
    return out;
}

std::vector<Reaction> reactions(db::Transaction& tx, MessageId message, const std::optional<Reaction>& after,
                                std::size_t limit) {
    const auto from = after.value_or(Reaction{});
    std::vector<Reaction> out;
    for (const auto row :
         tx.exec(kReactions, message, from.user, from.emoji, static_cast<std::int64_t>(limit))) {
        Reaction one;
        one.user = row.id<UserId>(0);
        one.emoji = row.text(1);
        one.at = row.integer(2);
        out.push_back(std::move(one));
    }
    return out;
}

std::int64_t last_seq(db::Transaction& tx, ChatId chat) {
    const auto rows = tx.exec(kLastSeq, chat);
    return rows.empty() ? 0 : rows.front().integer(0);
}

}  // namespace supd::messages::store
