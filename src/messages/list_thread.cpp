// GET /api/v1/messages/:id/thread: the replies to a message, ascending by seq, those after `after_seq`. 404
// for a message that the caller may not see.
#include "context.hpp"
#include "wire.hpp"

#include <supd/messages/limits.hpp>

#include <limits>

namespace supd::messages {
namespace {

Page thread(db::Transaction& tx, MessageId root, UserId user, std::int64_t after, std::size_t limit) {
    const auto chat = visible_message(tx, root, user).message.chat;
    const auto me = chats::require_member(tx, chat, user);
    Page page;
    page.items = store::replies(tx, chat, user, me.from_seq, root, after, limit + 1);
    page.has_more = page.items.size() > limit;
    if (page.has_more) page.items.pop_back();
    return page;
}

}  // namespace

asio::awaitable<http::Reply> list_thread(Context& context, http::Request request) {
    request.allow_query({"after_seq", "limit"});
    const auto root = request.path_id<MessageId>("id");
    const auto user = request.caller().user;
    const auto after = request.query_integer("after_seq", 0, 0, std::numeric_limits<std::int64_t>::max() - 1);
    const auto limit = query_limit(request);
    auto work = [&](db::Transaction& tx) { return thread(tx, root, user, after, limit); };
    const auto page = co_await context.database.transact(db::Access::snapshot, work);
    co_return http::Reply::json(page_json(page));
}

}  // namespace supd::messages
