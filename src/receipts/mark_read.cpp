#include "context.hpp"

#include <supd/base/json.hpp>
#include <supd/chats/membership.hpp>

#include <nlohmann/json.hpp>

#include <limits>

namespace supd::receipts {

asio::awaitable<http::Reply> handle_read(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    Mark mark;
    mark.chat = request.path_id<ChatId>("id");
    mark.user = request.caller().user;
    mark.read = reader.integer("seq", 0, std::numeric_limits<std::int64_t>::max());
    reader.finish();
    struct Result {
        std::vector<Moved> moved;
        std::int64_t read_seq = 0;
    };
    auto work = [&](db::Transaction& tx) {
        Result result;
        chats::require_member(tx, mark.chat, mark.user);
        result.moved = store::move(tx, {mark});
        result.read_seq = chats::require_member(tx, mark.chat, mark.user).read_seq;
        return result;
    };
    const auto result = co_await context.database.transact(work);
    announce(context.hub, result.moved);
    co_return http::Reply::json(R"({"chat_id":")" + mark.chat.text() + R"(","read_seq":)" +
                                std::to_string(result.read_seq) + "}");
}

}  // namespace supd::receipts
