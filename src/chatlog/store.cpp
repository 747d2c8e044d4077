#include "store.hpp"

#include <supd/base/error.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/crypto/content_hash.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

// Columns that read_message() expects, of a table or subquery called m. What is due to go is shown as gone,
// also while its deletion still waits for the worker.
#define SUPD_UNLESS_DUE(column) "case when m.expires_at <= now() then null else m." column " end, "
#define SUPD_MILLIS(time) "(extract(epoch from " time ") * 1000)::bigint"
#define SUPD_MESSAGE_COLUMNS \
    "m.id, m.chat_id, m.seq, m.sender_id, m.sender_device_id, m.type, " SUPD_UNLESS_DUE("text")             \
    SUPD_UNLESS_DUE("reply_to") SUPD_UNLESS_DUE("extra") SUPD_MILLIS("m.created_at") ", "                   \
    SUPD_MILLIS("m.edited_at") ", "                                                                         \
    SUPD_MILLIS("coalesce(m.deleted_at, case when m.expires_at <= now() then m.expires_at end)") ", "       \
    SUPD_MILLIS("m.expires_at")

namespace supd::chatlog {

const char* const kMessageColumns = SUPD_MESSAGE_COLUMNS;

// Count, '+' when one is mine, emoji; joined by U+001F, which no emoji holds.
const char* const kReactionsColumn =
    "(select string_agg(x.n || case when x.me then '+' else '-' end || x.emoji, E'\\x1f' "
    "order by x.since, x.emoji) from (select r.emoji, count(*) as n, bool_or(r.user_id = $1::uuid) as me, "
    "min(r.created_at) as since from message_reactions r where r.message_id = m.id group by r.emoji) x)";

namespace {

constexpr db::Statement kLockChat{"log_lock_chat", "select pg_advisory_xact_lock($1)"};

constexpr db::Statement kFindChange{
    "log_find_change",
    "select chat_id, seq, actor_id, kind, (extract(epoch from created_at) * 1000)::bigint, message_id, "
    "coalesce(digest, '') from chat_changes where id = $1"};

constexpr db::Statement kAppendChange{
    "log_append_change",
    "with head as (update chat_heads set last_seq = last_seq + 1, xid = pg_current_xact_id() where chat_id = "
    "$1 "
    "returning last_seq) "
    "insert into chat_changes (chat_id, seq, id, kind, actor_id, message_id, users, data, digest, "
    "created_at, "
    "xid) "
    "select $1, head.last_seq, $2, $3, $4, $5, $6, $7, nullif($8::bytea, ''), "
    "date_trunc('milliseconds', clock_timestamp()), pg_current_xact_id() from head on conflict (id) do "
    "nothing "
    "returning seq, (extract(epoch from created_at) * 1000)::bigint"};

constexpr db::Statement kNextSeq{"log_next_seq", "select last_seq + 1 from chat_heads where chat_id = $1"};

constexpr db::Statement kStream{
    "log_stream",
    "select epoch, pg_snapshot_xmin(pg_current_snapshot())::text, horizon::text from stream_state"};

// Another row version means that a process before us has done it.
constexpr db::Statement kAdoptOrigin{
    "log_adopt_origin",
    "with server as (select system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) "
    "as origin from pg_control_system()), before as (select origin from stream_state) "
    "update stream_state s set origin = server.origin, "
    "epoch = case when s.origin is null then s.epoch else gen_random_uuid() end "
    "from server where s.origin is distinct from server.origin "
    "returning (select origin from before) is not null"};

constexpr db::Statement kJoinedHeads{
    "log_joined_heads",
    "select h.chat_id, h.last_seq from chat_members m join chat_heads h on h.chat_id = m.chat_id "
    "where m.user_id = $1 and m.state = 0 "
    "union all select $1::uuid, coalesce((select u.last_seq from user_heads u where u.user_id = $1), 0)"};

// A chat's entries below the cursor are a prefix of its log (transaction ids grow with seq), so walking the
// primary key backwards to the first of them costs only what was missed.
constexpr db::Statement kMissed{
    "log_missed",
    "select c.chat_id, greatest(c.from_seq - 1, "
    "coalesce((select m.seq from messages m where m.chat_id = c.chat_id and m.xid < $2::text::xid8 "
    "          order by m.seq desc limit 1), 0), "
    "coalesce((select g.seq from chat_changes g where g.chat_id = c.chat_id and g.xid < $2::text::xid8 "
    "          order by g.seq desc limit 1), 0)), "
    "coalesce(c.to_seq, h.last_seq) "
    "from chat_members c join chat_heads h on h.chat_id = c.chat_id "
    "where c.user_id = $1 and h.xid >= $2::text::xid8 and (c.state = 0 or c.xid >= $2::text::xid8) "
    "union all select u.user_id, "
    "coalesce((select e.seq from user_events e where e.user_id = u.user_id and e.xid < $2::text::xid8 "
    "          order by e.seq desc limit 1), 0), u.last_seq "
    "from user_heads u where u.user_id = $1 and u.xid >= $2::text::xid8 "
    "order by 1"};  // pages of /sync go on by chat id

constexpr db::Statement kEntryMessages{
    "log_entry_messages",
    "select " SUPD_MESSAGE_COLUMNS
    " from messages m where m.chat_id = $1 and m.seq > $2 and m.seq <= $3 order by m.seq limit $4"};

// An edit of what is due to go is shown as its deletion will leave it.
constexpr db::Statement kEntryChanges{
    "log_entry_changes",
    "select c.seq, c.kind, case when c.kind = 'message_edited' and "
    "(select m.expires_at <= now() from messages m where m.id = c.message_id) "
    "then json_build_object('id', c.data->'id', 'text', null, 'edited_at', c.data->'edited_at', "
    "'sender_id', c.data->'sender_id') else c.data end, array_to_string(c.users, ','), c.message_id "
    "from chat_changes c where c.chat_id = $1 and c.seq > $2 and c.seq <= $3 order by c.seq limit $4"};

constexpr db::Statement kMovedHeads{
    "log_moved_heads",
    "select h.chat_id, h.last_seq from unnest($1::uuid[]) as i (id) "
    "join lateral (select * from chat_heads q where q.chat_id = i.id offset 0) h on true "
    "where h.xid >= $2::text::xid8 "
    "union all select u.user_id, u.last_seq from unnest($3::uuid[]) as i (id) "
    "join lateral (select * from user_heads q where q.user_id = i.id offset 0) u on true "
    "where u.xid >= $2::text::xid8"};

constexpr db::Statement kNewJoins{"log_new_joins",
                                  "select m.user_id, m.chat_id, m.from_seq from unnest($1::uuid[]) as i (id) "
                                  "join lateral (select * from chat_members q where q.user_id = i.id and "
                                  "q.xid >= $2::text::xid8 offset 0) m "
                                  "on m.state = 0"};

constexpr db::Statement kWAge{
    "log_w_age",
    "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::text from pg_stat_activity "
    "where backend_xid is not null"};

constexpr db::Statement kMark{
    "log_mark",
    "insert into stream_marks (w) values (pg_snapshot_xmin(pg_current_snapshot())) on conflict do nothing"};

constexpr db::Statement kPrune{
    "log_prune",
    "with old as (delete from stream_marks where at < now() - make_interval(days => $1) returning w) "
    "update stream_state set horizon = greatest(horizon, (select max(w) from old)) where exists (select from "
    "old)"};

constexpr std::string_view kEdited = "message_edited";

std::map<MessageId, base::Millis> hidden_of(db::Transaction& tx, std::optional<UserId> reader,
                                            const db::Rows& messages, const db::Rows& changes) {
    if (!reader) return {};
    std::vector<MessageId> ids;
    for (const auto row : messages)
        ids.push_back(row.id<MessageId>(0));
    for (const auto row : changes)
        if (row.view(1) == kEdited) ids.push_back(row.id<MessageId>(4));
    if (ids.empty()) return {};
    return store::hidden(tx, *reader, ids);
}

std::string without_text(std::string_view edited) {
    auto data = nlohmann::json::parse(edited);
    data["text"] = nullptr;
    return data.dump();
}

std::vector<UserId> parse_users(std::string_view text) {
    std::vector<UserId> out;
    while (!text.empty()) {
        const auto end = std::min(text.find(','), text.size());
        if (auto id = UserId::parse(text.substr(0, end))) out.push_back(*id);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

void set_membership(ws::ChatEvent& event, std::string_view kind, std::vector<UserId> users) {
    if (kind == "chat_created" || kind == "member_added")
        event.joined = std::move(users);
    else if (kind == "member_removed" || kind == "chat_deleted")
        event.left = std::move(users);
}

/// With the id in it, so that equal requests do not show as equal digests in the database.
std::string digest_of(const Change& change) {
    if (change.request.empty()) return {};
    const auto hash = crypto::content_hash(change.id.text() + change.request);
    return {hash.begin(), hash.end()};
}

base::Error id_reused() {
    return base::conflict("id_reused", "This id was used for another change.");
}

}  // namespace

std::int64_t lock_key(ChatId chat) noexcept {
    std::int64_t key;
    std::memcpy(&key, chat.bytes.data() + 8, 8);
    return key;
}

void lock_chat(db::Transaction& tx, ChatId chat) {
    tx.exec(kLockChat, lock_key(chat));
}

std::int64_t next_seq(db::Transaction& tx, ChatId chat) {
    const auto rows = tx.exec(kNextSeq, chat);
    if (rows.empty()) throw base::not_found();
    return rows.front().integer(0);
}

std::optional<Appended> find_change(db::Transaction& tx, const Change& change) {
    const auto rows = tx.exec(kFindChange, change.id);
    if (rows.empty()) return std::nullopt;
    const auto row = rows.front();
    if (row.id<ChatId>(0) != change.chat || row.id<UserId>(2) != change.actor || row.view(3) != change.kind ||
        row.maybe_id<MessageId>(5) != change.message)
        throw id_reused();
    const auto digest = row.bytes(6);
    if (!digest.empty() && digest != digest_of(change)) throw id_reused();
    Appended out;
    out.id = change.id;
    out.chat = change.chat;
    out.seq = row.integer(1);
    out.created_at = row.integer(4);
    out.repeated = true;
    return out;
}

Appended append_change(db::Transaction& tx, const Change& change) {
    std::optional<std::vector<UserId>> users;
    if (!change.users.empty()) users = change.users;
    const auto digest = digest_of(change);
    const auto rows = tx.exec(kAppendChange, change.chat, change.id, change.kind, change.actor,
                              change.message, users, change.data, db::Bytes{digest});
    if (rows.empty()) throw id_reused();
    Appended out;
    out.id = change.id;
    out.chat = change.chat;
    out.seq = rows.front().integer(0);
    out.created_at = rows.front().integer(1);
    out.event.chat = change.chat;
    out.event.seq = out.seq;
    out.event.frame = ws::make_frame(event_json(change.kind, change.chat, out.seq, change.data));
    set_membership(out.event, change.kind, change.users);
    return out;
}

Message read_message(const db::Row& row, int c) {
    Message m;
    m.id = row.id<MessageId>(c);
    m.chat = row.id<ChatId>(c + 1);
    m.seq = row.integer(c + 2);
    m.sender = row.id<UserId>(c + 3);
    m.sender_device = row.id<DeviceId>(c + 4);
    m.type = row.text(c + 5);
    m.text = row.maybe_text(c + 6);
    m.reply_to = row.maybe_id<MessageId>(c + 7);
    m.extra = row.text(c + 8);
    m.created_at = row.integer(c + 9);
    m.edited_at = row.maybe_integer(c + 10);
    m.deleted_at = row.maybe_integer(c + 11);
    m.expires_at = row.maybe_integer(c + 12);
    return m;
}

std::vector<ReactionCount> read_reactions(std::string_view text) {
    std::vector<ReactionCount> out;
    while (!text.empty()) {
        const auto end = std::min(text.find('\x1f'), text.size());
        auto one = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        ReactionCount count;
        const auto [at, error] = std::from_chars(one.data(), one.data() + one.size(), count.count);
        one.remove_prefix(static_cast<std::size_t>(at - one.data()));
        if (error != std::errc{} || one.empty()) continue;
        count.me = one.front() == '+';
        count.emoji = one.substr(1);
        out.push_back(std::move(count));
    }
    return out;
}

namespace store {

const db::Statement kAppendOne{"log_append_one",
                               "select * from append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"};

const db::Statement kAppendFresh{
    "log_append_fresh",
    "select * from append_fresh($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"};

const db::Statement kAppendMessages{
    "log_append_messages", "select * from append_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"};

Stream stream_now(db::Transaction& tx) {
    const auto rows = tx.exec(kStream);
    Stream out;
    out.epoch = rows.front().text(0);
    out.w = std::stoull(rows.front().text(1));
    out.horizon = std::stoull(rows.front().text(2));
    return out;
}

bool adopt_origin(db::Transaction& tx) {
    const auto rows = tx.exec(kAdoptOrigin);
    return !rows.empty() && rows.front().flag(0);
}

std::vector<ws::LogSource::Head> joined_heads(db::Transaction& tx, UserId user) {
    std::vector<ws::LogSource::Head> out;
    const auto rows = tx.exec(kJoinedHeads, user);
    for (const auto row : rows)
        out.push_back({row.id<ChatId>(0), row.integer(1)});
    return out;
}

std::vector<Range> missed(db::Transaction& tx, UserId user, std::uint64_t since_w) {
    std::vector<Range> out;
    const auto rows = tx.exec(kMissed, user, std::to_string(since_w));
    for (const auto row : rows) {
        const Range range{row.id<ChatId>(0), row.integer(1), row.integer(2)};
        if (range.after < range.upto) out.push_back(range);
    }
    return out;
}

ws::LogSource::Page entries(db::Transaction& tx, ChatId chat, std::int64_t after, std::int64_t upto,
                            std::size_t limit, std::optional<UserId> reader) {
    const auto cap = static_cast<std::int64_t>(limit) + 1;
    const auto messages = tx.exec(kEntryMessages, chat, after, upto, cap);
    const auto changes = tx.exec(kEntryChanges, chat, after, upto, cap);
    // A range of a chat is hardly ever empty; a user's own log has rows elsewhere.
    if (messages.empty() && changes.empty()) return user_entries(tx, {chat.bytes}, after, upto, limit);
    const auto hidden = hidden_of(tx, reader, messages, changes);
    ws::LogSource::Page page;
    page.events.reserve(std::min(limit, messages.size() + changes.size()));
    std::size_t m = 0, c = 0, bytes = 0;
    std::string json;
    constexpr auto kNone = std::numeric_limits<std::int64_t>::max();
    while (m < messages.size() || c < changes.size()) {
        if (page.events.size() == limit || bytes >= kPageBytes) {
            page.more = true;
            break;
        }
        const auto message_seq = m < messages.size() ? messages[m].integer(2) : kNone;
        const auto change_seq = c < changes.size() ? changes[c].integer(0) : kNone;
        ws::ChatEvent event;
        event.chat = chat;
        if (message_seq < change_seq) {
            json.clear();
            auto message = read_message(messages[m++]);
            if (const auto found = hidden.find(message.id); found != hidden.end() && !message.deleted_at) {
                message.deleted_at = found->second;
                message.edited_at.reset();
                message.expires_at.reset();
            }
            append_message_json(json, message);
            event.seq = message_seq;
            event.frame = ws::make_frame(event_json("message", chat, message_seq, json));
        } else {
            const auto row = changes[c++];
            event.seq = change_seq;
            const bool lost = row.view(1) == kEdited && hidden.contains(row.id<MessageId>(4));
            const auto rest = lost ? without_text(row.view(2)) : std::string();
            const std::string_view data = lost ? rest : row.view(2);
            event.frame = ws::make_frame(event_json(row.view(1), chat, change_seq, data));
            set_membership(event, row.view(1), parse_users(row.view(3)));
        }
        bytes += event.frame->json().size();
        page.events.push_back(std::move(event));
    }
    return page;
}

std::vector<ws::LogSource::Head> moved_heads(db::Transaction& tx, const std::vector<ChatId>& chats,
                                             const std::vector<UserId>& users, std::uint64_t since_w) {
    std::vector<ws::LogSource::Head> out;
    const auto rows = tx.exec(kMovedHeads, chats, std::to_string(since_w), users);
    for (const auto row : rows)
        out.push_back({row.id<ChatId>(0), row.integer(1)});
    return out;
}

std::vector<ws::LogSource::Joined> new_joins(db::Transaction& tx, const std::vector<UserId>& users,
                                             std::uint64_t since_w) {
    std::vector<ws::LogSource::Joined> out;
    const auto rows = tx.exec(kNewJoins, users, std::to_string(since_w));
    for (const auto row : rows)
        out.push_back({row.id<UserId>(0), row.id<ChatId>(1), row.integer(2)});
    return out;
}

double w_age(db::Transaction& tx) {
    return std::stod(tx.exec(kWAge).front().text(0));
}

void mark_and_prune(db::Transaction& tx, int keep_days) {
    tx.exec(kMark);
    tx.exec(kPrune, keep_days);
}

}  // namespace store
}  // namespace supd::chatlog
