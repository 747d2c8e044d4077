// SQL of the users' own logs.
#include "store.hpp"

#include <supd/chatlog/reader.hpp>
#include <supd/chatlog/user_log.hpp>

#include <string>

namespace supd::chatlog {
namespace {

constexpr db::Statement kAppend{
    "user_log_append",
    "with head as (insert into user_heads (user_id, last_seq, xid) values ($1, 1, pg_current_xact_id()) "
    "on conflict (user_id) do update set last_seq = user_heads.last_seq + 1, xid = pg_current_xact_id() "
    "returning last_seq) "
    "insert into user_events (user_id, seq, kind, data) select $1, head.last_seq, $2, $3 from head "
    "returning seq"};

constexpr db::Statement kEntries{
    "user_log_entries",
    "select seq, kind, data from user_events where user_id = $1 and seq > $2 and seq <= $3 order by seq "
    "limit $4"};

ws::ChatEvent event_of(base::UserId user, std::int64_t seq, std::string_view kind, std::string_view data) {
    std::string json;
    json.reserve(data.size() + kind.size() + 60);
    json += R"({"type":")";
    json += kind;
    json += R"(","user_seq":)";
    json += std::to_string(seq);
    json += R"(,"data":)";
    json += data;
    json += '}';
    ws::ChatEvent event;
    event.chat = ws::own_log(user);
    event.seq = seq;
    event.frame = ws::make_frame(json);
    return event;
}

}  // namespace

void lock_user_log(db::Transaction& tx, base::UserId user) {
    lock_chat(tx, ws::own_log(user));
}

ws::ChatEvent append_user_event(db::Transaction& tx, base::UserId user, std::string_view kind,
                                std::string_view data) {
    const auto seq = tx.exec(kAppend, user, kind, data).front().integer(0);
    return event_of(user, seq, kind, data);
}

ws::LogSource::Page store::user_entries(db::Transaction& tx, UserId user, std::int64_t after,
                                        std::int64_t upto, std::size_t limit) {
    ws::LogSource::Page page;
    std::size_t bytes = 0;
    const auto rows = tx.exec(kEntries, user, after, upto, static_cast<std::int64_t>(limit) + 1);
    for (const auto row : rows) {
        if (page.events.size() == limit || bytes >= kPageBytes) {
            page.more = true;
            break;
        }
        page.events.push_back(event_of(user, row.integer(0), row.view(1), row.view(2)));
        bytes += page.events.back().frame->json().size();
    }
    return page;
}

}  // namespace supd::chatlog
