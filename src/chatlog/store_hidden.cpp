// What people have hidden for themselves ("delete for me").
#include "store.hpp"

namespace supd::chatlog {
namespace {

constexpr db::Statement kHidesAny{"log_hides_any",
                                  "select exists (select from message_hidden where user_id = $1)"};

constexpr db::Statement kHidden{
    "log_hidden",
    "select message_id, (extract(epoch from date_trunc('milliseconds', hidden_at)) * 1000)::bigint "
    "from message_hidden where user_id = $1 and message_id = any($2::uuid[])"};

}  // namespace

bool hides_any(db::Transaction& tx, UserId user) {
    return tx.exec(kHidesAny, user).front().flag(0);
}

std::map<MessageId, base::Millis> store::hidden(db::Transaction& tx, UserId user,
                                                const std::vector<MessageId>& messages) {
    std::map<MessageId, base::Millis> out;
    const auto rows = tx.exec(kHidden, user, messages);
    for (const auto row : rows)
        out.emplace(row.id<MessageId>(0), row.integer(1));
    return out;
}

}  // namespace supd::chatlog
