#include "context.hpp"
#include "draft.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/base/json.hpp>
#include <supd/http/query.hpp>
#include <supd/messages/limits.hpp>

#include <nlohmann/json.hpp>

#include <limits>

namespace supd::messages {
namespace {

asio::awaitable<Item> read_one(Context& context, MessageId message, UserId user) {
    auto work = [&](db::Transaction& tx) { return visible_message(tx, message, user); };
    co_return co_await context.database.transact(db::Access::snapshot, work);
}

struct Place {
    From from = From::newest;
    std::int64_t seq = 0;
};

Place place_of(const http::Request& request) {
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max() - 1;
    Place place;
    int named = 0;
    const auto take = [&](std::string_view name, From from) {
        if (!request.query_value(name)) return;
        if (named > 0)
            throw http::query_error(name, "not_together",
                                    "Only one of before_seq, after_seq and around_seq.");
        place.from = from;
        place.seq = request.query_integer(name, 0, 0, kMost);
        ++named;
    };
    take("before_seq", From::before);
    take("after_seq", From::after);
    take("around_seq", From::around);
    return place;
}

}  // namespace

std::size_t query_limit(const http::Request& request) {
    return static_cast<std::size_t>(request.query_integer("limit", static_cast<std::int64_t>(kDefaultPage), 1,
                                                          static_cast<std::int64_t>(kMaxPage)));
}

Act act_of(const http::Request& request, std::optional<ChangeId> change) {
    Act act;
    act.actor = request.caller().user;
    act.message = request.path_id<MessageId>("id");
    act.change = change.value_or(ChangeId::make());
    return act;
}

asio::awaitable<Done> change(Context& context, std::function<Done(db::Transaction&)> rule) {
    auto done = co_await context.database.transact(std::move(rule));
    context.hub.publish(std::move(done.events));
    co_return done;
}

asio::awaitable<Item> change_and_see(Context& context, Act act, std::function<Done(db::Transaction&)> rule) {
    struct Result {
        Done done;
        Item item;
    };
    auto work = [&](db::Transaction& tx) {
        Result result;
        result.done = rule(tx);
        result.item = visible_message(tx, act.message, act.actor);
        return result;
    };
    auto result = co_await context.database.transact(work);
    context.hub.publish(std::move(result.done.events));
    co_return std::move(result.item);
}

namespace {

// Who may see what is the primary's to say, and how far the chat is. What somebody has hidden for themselves
// has no seq that a replica could be measured by: then it is not asked.
asio::awaitable<std::optional<Page>> ask_replica(Context& context, ChatId chat, UserId user, Place place,
                                                 std::size_t limit) {
    auto judge = [&](db::Transaction& tx) -> std::optional<chats::Membership> {
        const auto me = chats::require_member(tx, chat, user);
        if (chatlog::hides_any(tx, user)) return std::nullopt;
        return me;
    };
    const auto me = co_await context.database.transact(db::Access::read_only, judge);
    if (!me) co_return std::nullopt;
    auto look = [&](db::Transaction& tx) {
        return history_of_replica(tx, *me, place.from, place.seq, limit);
    };
    co_return co_await context.replicas->read(look);
}

}  // namespace

asio::awaitable<http::Reply> handle_history(Context& context, http::Request request) {
    request.allow_query({"before_seq", "after_seq", "around_seq", "limit"});
    const auto chat = request.path_id<ChatId>("chat_id");
    const auto user = request.caller().user;
    const auto place = place_of(request);
    const auto limit = query_limit(request);
    if (context.replicas) {
        const auto page = co_await ask_replica(context, chat, user, place, limit);
        if (page) co_return http::Reply::json(page_json(*page));
    }
    auto work = [&](db::Transaction& tx) { return history(tx, chat, user, place.from, place.seq, limit); };
    const auto page = co_await context.database.transact(db::Access::snapshot, work);
    co_return http::Reply::json(page_json(page));
}

asio::awaitable<http::Reply> handle_send(Context& context, http::Request request) {
    const auto draft = read_draft(request.json(), request.caller());
    const auto receipt = co_await context.writer.append(draft);
    chatlog::throw_unless_stored(receipt);
    const bool fresh = receipt.outcome == chatlog::Outcome::stored;
    Item item;
    if (fresh)
        item.message = message_of(draft, receipt);
    else
        item = co_await read_one(context, draft.id, draft.sender);
    auto reply = http::Reply::json(message_json(item), fresh ? 201 : 200);
    reply.kept = false;
    co_return reply;
}

asio::awaitable<http::Reply> handle_get(Context& context, http::Request request) {
    request.allow_query({});
    const auto message = request.path_id<MessageId>("id");
    const auto item = co_await read_one(context, message, request.caller().user);
    co_return http::Reply::json(message_json(item));
}

asio::awaitable<http::Reply> handle_edit(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    const auto text = reader.text("text", {.min = 1, .max = kMaxTextBytes});
    reader.finish();
    auto rule = [&](db::Transaction& tx) { return edit(tx, act, text); };
    const auto item = co_await change_and_see(context, act, rule);
    co_return http::Reply::json(message_json(item));
}

asio::awaitable<http::Reply> handle_delete(Context& context, http::Request request) {
    request.allow_query({"for", "change_id"});
    const auto act = act_of(request, http::query_id<ChangeId>(request, "change_id"));
    const auto whom = request.query_value("for").value_or("everyone");
    if (whom != "everyone" && whom != "me")
        throw http::query_error("for", "bad_format", "One of me, everyone.");
    if (whom == "me") {
        auto work = [&](db::Transaction& tx) { return hide(tx, act.actor, act.message); };
        co_await context.database.transact(work);
        co_return http::Reply::no_content();
    }
    auto rule = [&](db::Transaction& tx) { return remove(tx, act); };
    co_await change(context, rule);
    co_return http::Reply::no_content();
}

asio::awaitable<http::Reply> handle_edits(Context& context, http::Request request) {
    request.allow_query({"limit", "cursor"});
    const auto limit = query_limit(request);
    const auto after = edit_cursor(request.query_value("cursor").value_or("0"));
    if (!after) throw http::cursor_error();
    const auto message = request.path_id<MessageId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) {
        visible_message(tx, message, user);
        return store::edits(tx, message, *after, limit + 1);
    };
    const auto edits = co_await context.database.transact(db::Access::snapshot, work);
    co_return http::Reply::json(edits_json(edits, limit));
}

}  // namespace supd::messages
