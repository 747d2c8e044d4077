#include "context.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/base/json.hpp>
#include <supd/http/query.hpp>
#include <supd/messages/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::messages {

asio::awaitable<http::Reply> handle_add_reaction(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    const auto emoji = reader.text("emoji", {.min = 0, .max = kMaxEmojiBytes});
    reader.finish();
    check_emoji(emoji);
    auto rule = [&](db::Transaction& tx) { return react(tx, act, emoji, true); };
    const auto item = co_await change_and_see(context, act, rule);
    co_return http::Reply::json(counts_json(act.message, item.reactions));
}

asio::awaitable<http::Reply> handle_remove_reaction(Context& context, http::Request request) {
    request.allow_query({"emoji", "change_id"});
    const auto act = act_of(request, http::query_id<ChangeId>(request, "change_id"));
    const auto named = request.query_value("emoji");
    if (!named) throw http::query_error("emoji", "required", "This parameter is required.");
    const std::string emoji(*named);
    check_emoji(emoji);
    auto rule = [&](db::Transaction& tx) { return react(tx, act, emoji, false); };
    co_await change(context, rule);
    co_return http::Reply::no_content();
}

asio::awaitable<http::Reply> handle_list_reactions(Context& context, http::Request request) {
    request.allow_query({"limit", "cursor"});
    const auto message = request.path_id<MessageId>("id");
    const auto user = request.caller().user;
    const auto limit = query_limit(request);
    std::optional<Reaction> after;
    if (const auto text = request.query_value("cursor")) {
        after = reaction_cursor(*text);
        if (!after) throw http::cursor_error();
    }
    auto work = [&](db::Transaction& tx) {
        visible_message(tx, message, user);
        return store::reactions(tx, message, after, limit + 1);
    };
    const auto reactions = co_await context.database.transact(db::Access::snapshot, work);
    co_return http::Reply::json(reactions_json(reactions, limit));
}

}  // namespace supd::messages
