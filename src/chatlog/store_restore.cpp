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

}  // namespace

void begin_new_stream(db::Transaction& tx) {
    tx.exec(kNewEpoch);
    tx.exec(kForgetMarks);
}

std::string find_gap(db::Transaction& tx) {
    const auto rows = tx.exec(kGaps);
    const auto count = rows.front().integer(0);
    if (count == 0) return "";
    return std::to_string(count) + " chats have a log with gaps, one is " + rows.front().text(1);
}

}  // namespace supd::chatlog
