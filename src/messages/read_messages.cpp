#include "rules.hpp"

#include <supd/base/error.hpp>

#include <algorithm>
#include <limits>

namespace supd::messages {
namespace {

/// One more than asked for was read: the far one says that there is more.
bool cut_front(std::vector<Item>& items, std::size_t limit) {
    if (items.size() <= limit) return false;
    items.erase(items.begin());
    return true;
}

bool cut_back(std::vector<Item>& items, std::size_t limit) {
    if (items.size() <= limit) return false;
    items.pop_back();
    return true;
}

}  // namespace

Page history_for(db::Transaction& tx, const chats::Membership& me, From from, std::int64_t seq,
                 std::size_t limit) {
    const auto chat = me.chat;
    const auto user = me.user;
    Page page;
    switch (from) {
        case From::newest:
        case From::before: {
            const auto end = from == From::newest ? std::numeric_limits<std::int64_t>::max() : seq;
            page.items = store::before(tx, chat, user, me.from_seq, end, limit + 1);
            page.has_more = cut_front(page.items, limit);
            page.from = page.items.size();
            break;
        }
        case From::after:
            page.items = store::after(tx, chat, user, me.from_seq, seq, limit + 1);
            page.has_more = cut_back(page.items, limit);
            break;
        case From::around: {
            const auto older = limit / 2 + limit % 2;  // the one asked for is among these
            page.items = store::before(tx, chat, user, me.from_seq, seq + 1, older + 1);
            page.has_more = cut_front(page.items, older);
            page.from = page.items.size();
            const auto newer = limit - older;
            auto rest = store::after(tx, chat, user, me.from_seq, seq, newer + 1);
            page.has_more |= cut_back(rest, newer);
            std::ranges::move(rest, std::back_inserter(page.items));
            break;
        }
    }
    return page;
}

Page history(db::Transaction& tx, ChatId chat, UserId user, From from, std::int64_t seq, std::size_t limit) {
    return history_for(tx, chats::require_member(tx, chat, user), from, seq, limit);
}

std::optional<Page> history_of_replica(db::Transaction& tx, const chats::Membership& me, From from,
                                       std::int64_t seq, std::size_t limit) {
    if (store::last_seq(tx, me.chat) < me.last_seq) return std::nullopt;
    return history_for(tx, me, from, seq, limit);
}

Item visible_message(db::Transaction& tx, MessageId message, UserId user) {
    const auto target = store::target(tx, message, user);
    if (!target) throw base::not_found();
    const auto me = chats::require_member(tx, target->chat, user);
    if (target->seq < me.from_seq || target->hidden) throw base::not_found();
    auto item = store::one(tx, message, user);
    if (!item) throw base::not_found();
    return std::move(*item);
}

}  // namespace supd::messages
