#include "store.hpp"

namespace supd::presence::store {
namespace {

constexpr db::Statement kAcquainted{
    "presence_acquainted",
    "select i.id from unnest($2::uuid[]) as i (id) where i.id = $1::uuid or exists ("
    "select from chat_members o join chat_members m on m.chat_id = o.chat_id "
    "where o.user_id = i.id and o.state = 0 and m.user_id = $1::uuid and m.state = 0)"};

}  // namespace

std::vector<base::UserId> acquainted(db::Transaction& tx, base::UserId user,
                                     const std::vector<base::UserId>& others) {
    std::vector<base::UserId> out;
    const auto rows = tx.exec(kAcquainted, user, others);
    for (const auto row : rows)
        out.push_back(row.id<base::UserId>(0));
    return out;
}

}  // namespace supd::presence::store
