#include <supd/chatlog/restore.hpp>

namespace supd::chatlog {
namespace {

constexpr db::Statement kNewEpoch{"chatlog_new_epoch",
                                  "update stream_state set epoch = gen_random_uuid(), horizon = '0'"};
constexpr db::Statement kForgetMarks{"chatlog_forget_marks", "delete from stream_marks"};

constexpr db::Statement kGaps{
    "chatlog_gaps",
    "select count(*), min(h.chat_id::text) from chat_heads h left join ("
    "select chat_id, count(*) as n, min(seq) as low, max(seq) as high from ("
    "select chat_id, seq from messages union select chat_id, seq from chat_changes) entries group by "
    "chat_id) l "
    "on l.chat_id = h.chat_id "
    "where h.last_seq <> coalesce(l.n, 0) or (h.last_seq > 0 and (l.low <> 1 or l.high <> h.last_seq))"};

constexpr db::Statement kUserGaps{
    "chatlog_user_gaps",
    "select count(*), min(h.user_id::text) from user_heads h left join ("
    "select user_id, count(*) as n, min(seq) as low, max(seq) as high from user_events group by user_id) l "
    "on l.user_id = h.user_id where h.last_seq <> coalesce(l.n, 0) or l.low <> 1 or l.high <> h.last_seq"};

constexpr db::Statement kEraseUserEvents{
    "chatlog_erase_user_events",
    "delete from user_events e using deletion_ledger l where l.kind = 'user' and l.id = e.user_id"};
constexpr db::Statement kEraseUserHeads{
    "chatlog_erase_user_heads",
    "delete from user_heads h using deletion_ledger l where l.kind = 'user' and l.id = h.user_id"};

std::string gap_text(const db::Rows& rows, const std::string& whose) {
    const auto count = rows.front().integer(0);
    if (count == 0) return "";
    return std::to_string(count) + " " + whose + " have a log with gaps, one is " + rows.front().text(1);
}

}  // namespace

void begin_new_stream(db::Transaction& tx) {
    tx.exec(kNewEpoch);
    tx.exec(kForgetMarks);
}

void erase_again(db::Transaction& tx) {
    tx.exec(kEraseUserEvents);
    tx.exec(kEraseUserHeads);
}

std::string find_gap(db::Transaction& tx) {
    const auto gap = gap_text(tx.exec(kGaps), "chats");
    return gap.empty() ? gap_text(tx.exec(kUserGaps), "users") : gap;
}

}  // namespace supd::chatlog
