#include "store.hpp"

namespace supd::messages::store {
namespace {

constexpr db::Statement kChatOf{"messages_chat_of", "select chat_id from messages where id = $1"};

constexpr db::Statement kTarget{"messages_target",
                                "select m.chat_id, m.seq, m.sender_id, m.type, m.deleted_at is not null, "
                                "coalesce(m.expires_at <= now(), false), "
                                "exists (select from message_hidden d where d.user_id = $2 and d.message_id "
                                "= m.id), (extract(epoch from m.created_at) * 1000)::bigint "
                                "from messages m where m.id = $1"};

constexpr db::Statement kLatestChange{
    "messages_latest_change",
    "select id, seq, (extract(epoch from created_at) * 1000)::bigint from chat_changes "
    "where message_id = $1 and kind = $2 and ($3::uuid is null or actor_id = $3::uuid) "
    "and ($4::text is null or data->>'emoji' = $4::text) order by seq desc limit 1"};

constexpr db::Statement kEditCount{"messages_edit_count",
                                   "select count(*) from message_edits where message_id = $1"};

constexpr db::Statement kWriteText{
    "messages_write_text",
    "with old as (insert into message_edits (message_id, seq, text, edited_at) "
    "select id, $2::bigint, text, date_trunc('milliseconds', clock_timestamp()) from messages where id = $1 "
    "returning edited_at) "
    "update messages set text = $3, edited_at = (select edited_at from old) where id = $1 "
    "returning (extract(epoch from edited_at) * 1000)::bigint"};

constexpr db::Statement kScrubMessage{
    "messages_scrub",
    "update messages set text = null, extra = null, reply_to = null, edited_at = null, expires_at = null, "
    "digest = '', "
    "deleted_at = date_trunc('milliseconds', clock_timestamp()) where id = $1 "
    "returning (extract(epoch from deleted_at) * 1000)::bigint"};

constexpr db::Statement kScrubEdits{"messages_scrub_edits",
                                    "delete from message_edits where message_id = $1"};

constexpr db::Statement kScrubReactions{"messages_scrub_reactions",
                                        "delete from message_reactions where message_id = $1"};

constexpr db::Statement kScrubChanges{
    "messages_scrub_changes",
    "update chat_changes set data = json_build_object('id', data->'id', 'text', null, 'edited_at', "
    "data->'edited_at', "
    "'sender_id', data->'sender_id'), digest = null where message_id = $1 and kind = 'message_edited'"};

constexpr db::Statement kHide{
    "messages_hide",
    "insert into message_hidden (message_id, user_id) values ($1, $2) on conflict do nothing"};

constexpr db::Statement kDue{
    "messages_due", "select id from messages where expires_at <= now() order by expires_at limit $1"};

constexpr db::Statement kSenderIfDue{
    "messages_sender_if_due",
    "select sender_id from messages where id = $1 and expires_at <= now() and deleted_at is null"};

constexpr db::Statement kCountReactions{
    "messages_count_reactions",
    "select count(*) filter (where user_id = $2), count(distinct emoji), count(*) filter (where emoji = $3) "
    "from message_reactions where message_id = $1"};

constexpr db::Statement kAddReaction{
    "messages_add_reaction",
    "insert into message_reactions (message_id, user_id, emoji) values ($1, $2, $3) on conflict do nothing"};

constexpr db::Statement kRemoveReaction{
    "messages_remove_reaction",
    "delete from message_reactions where message_id = $1 and user_id = $2 and emoji = $3"};

}  // namespace

std::optional<ChatId> chat_of(db::Transaction& tx, MessageId message) {
    const auto rows = tx.exec(kChatOf, message);
    if (rows.empty()) return std::nullopt;
    return rows.front().id<ChatId>(0);
}

std::optional<Target> target(db::Transaction& tx, MessageId message, UserId user) {
    const auto rows = tx.exec(kTarget, message, user);
    if (rows.empty()) return std::nullopt;
    const auto row = rows.front();
    Target out;
    out.chat = row.id<ChatId>(0);
    out.seq = row.integer(1);
    out.sender = row.id<UserId>(2);
    out.type = row.text(3);
    out.deleted = row.flag(4);
    out.due = row.flag(5);
    out.hidden = row.flag(6);
    out.created_at = row.integer(7);
    return out;
}

std::optional<Known> latest_change(db::Transaction& tx, MessageId message, std::string_view kind,
                                   const std::optional<UserId>& actor,
                                   const std::optional<std::string>& emoji) {
    const auto rows = tx.exec(kLatestChange, message, std::string(kind), actor, emoji);
    if (rows.empty()) return std::nullopt;
    Known out;
    out.id = rows.front().id<ChangeId>(0);
    out.seq = rows.front().integer(1);
    out.created_at = rows.front().integer(2);
    return out;
}

std::int64_t edit_count(db::Transaction& tx, MessageId message) {
    return tx.exec(kEditCount, message).front().integer(0);
}

Millis write_text(db::Transaction& tx, MessageId message, std::int64_t change_seq, const std::string& text) {
    return tx.exec(kWriteText, message, change_seq, text).front().integer(0);
}

Millis scrub(db::Transaction& tx, MessageId message) {
    const auto at = tx.exec(kScrubMessage, message).front().integer(0);
    tx.exec(kScrubEdits, message);
    tx.exec(kScrubReactions, message);
    tx.exec(kScrubChanges, message);
    return at;
}

void hide(db::Transaction& tx, MessageId message, UserId user) {
    tx.exec(kHide, message, user);
}

std::vector<MessageId> due(db::Transaction& tx, std::size_t limit) {
    std::vector<MessageId> out;
    const auto rows = tx.exec(kDue, static_cast<std::int64_t>(limit));
    for (const auto row : rows)
        out.push_back(row.id<MessageId>(0));
    return out;
}

std::optional<UserId> sender_if_due(db::Transaction& tx, MessageId message) {
    const auto rows = tx.exec(kSenderIfDue, message);
    if (rows.empty()) return std::nullopt;
    return rows.front().id<UserId>(0);
}

ReactionCounts count_reactions(db::Transaction& tx, MessageId message, UserId user,
                               const std::string& emoji) {
    const auto rows = tx.exec(kCountReactions, message, user, emoji);
    ReactionCounts out;
    out.of_user = rows.front().integer(0);
    out.kinds = rows.front().integer(1);
    out.of_emoji = rows.front().integer(2);
    return out;
}

bool add_reaction(db::Transaction& tx, MessageId message, UserId user, const std::string& emoji) {
    return tx.exec(kAddReaction, message, user, emoji).affected() == 1;
}

bool remove_reaction(db::Transaction& tx, MessageId message, UserId user, const std::string& emoji) {
    return tx.exec(kRemoveReaction, message, user, emoji).affected() == 1;
}

}  // namespace supd::messages::store
