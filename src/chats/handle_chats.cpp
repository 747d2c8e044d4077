#include "context.hpp"
#include "requests.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/chats/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::chats {
namespace {

/// The chat as the actor sees it after a change, and what the hub is to be told.
struct Changed {
    Events events;
    std::string json;
};

/// Runs `rule(tx)` and reads the chat in the same transaction.
template <class Rule>
asio::awaitable<http::Reply> change(Context& context, ChatId chat, UserId actor, Rule rule) {
    auto work = [&](db::Transaction& tx) {
        Changed changed;
        changed.events = rule(tx);
        changed.json = chat_json(read_chat(tx, chat, actor));
        return changed;
    };
    auto changed = co_await context.database.transact(work);
    context.hub.publish(std::move(changed.events.list));
    co_return http::Reply::json(std::move(changed.json));
}

asio::awaitable<http::Reply> to_status(Context& context, http::Request request, Status status) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = change_id_of(reader);
    reader.finish();
    auto rule = [&](db::Transaction& tx) { return change_status(tx, act, status); };
    co_return co_await change(context, act.chat, act.actor, std::ref(rule));
}

}  // namespace

asio::awaitable<http::Reply> handle_list(Context& context, http::Request request) {
    request.allow_query({"limit", "cursor"});
    const auto limit = query_limit(request);
    std::optional<ListCursor> after;
    if (const auto text = request.query_value("cursor")) {
        after = ListCursor::parse(*text);
        if (!after) throw base::bad_request("invalid_cursor", "The cursor is not one of this list.");
    }
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) { return list_chats(tx, user, after, limit + 1); };
    auto chats = co_await context.database.transact(db::Access::read_only, work);
    std::string out = "{\"items\":[";
    const auto shown = std::min(limit, chats.size());
    for (std::size_t i = 0; i < shown; ++i) {
        if (i) out += ',';
        append_chat_json(out, chats[i]);
    }
    out += "],\"next_cursor\":";
    if (chats.size() > limit) {
        ListCursor next;
        next.activity_us = chats[shown - 1].activity_us;
        next.chat = chats[shown - 1].id;
        out += '"' + next.text() + '"';
    } else {
        out += "null";
    }
    out += '}';
    co_return http::Reply::json(std::move(out));
}

asio::awaitable<http::Reply> handle_create(Context& context, http::Request request) {
    const auto chat = read_new_chat(request.json());
    const auto actor = request.caller().user;
    struct Result {
        Made made;
        std::string json;
    };
    auto work = [&](db::Transaction& tx) {
        Result result;
        result.made = create_chat(tx, actor, chat);
        result.json = chat_json(read_chat(tx, result.made.chat, actor));
        return result;
    };
    auto result = co_await context.database.transact(work);
    context.hub.publish(std::move(result.made.events.list));
    co_return http::Reply::json(std::move(result.json), result.made.created ? 201 : 200);
}

asio::awaitable<http::Reply> handle_get(Context& context, http::Request request) {
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) { return chat_json(read_chat(tx, chat, user)); };
    auto json = co_await context.database.transact(db::Access::read_only, work);
    co_return http::Reply::json(std::move(json));
}

asio::awaitable<http::Reply> handle_edit(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = change_id_of(reader);
    const bool titled = reader.has("title");
    const auto title = reader.maybe_text("title", {.min = 1, .max = kMaxTitleBytes});
    reader.finish();
    auto rule = [&](db::Transaction& tx) {
        if (titled) return edit_chat(tx, act, title);
        require_power(tx, act.chat, act.actor, kMemberPower);
        return Events{};
    };
    co_return co_await change(context, act.chat, act.actor, std::ref(rule));
}

asio::awaitable<http::Reply> handle_delete(Context& context, http::Request request) {
    request.allow_query({"change_id"});
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = query_change_id(request);
    auto work = [&](db::Transaction& tx) { return delete_chat(tx, act); };
    auto events = co_await context.database.transact(work);
    context.hub.publish(std::move(events.list));
    co_return http::Reply::no_content();
}

asio::awaitable<http::Reply> handle_archive(Context& context, http::Request request) {
    return to_status(context, std::move(request), Status::archived);
}

asio::awaitable<http::Reply> handle_close(Context& context, http::Request request) {
    return to_status(context, std::move(request), Status::closed);
}

asio::awaitable<http::Reply> handle_reopen(Context& context, http::Request request) {
    return to_status(context, std::move(request), Status::active);
}

asio::awaitable<http::Reply> handle_get_settings(Context& context, http::Request request) {
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) {
        require_member(tx, chat, user);
        return store::read_settings(tx, chat, user);
    };
    const auto settings = co_await context.database.transact(db::Access::snapshot, work);
    co_return http::Reply::json(settings_json(settings));
}

asio::awaitable<http::Reply> handle_edit_settings(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    OwnSettings changed;
    changed.mute = reader.maybe_flag("mute");
    changed.pin = reader.maybe_flag("pin");
    changed.archive = reader.maybe_flag("archive");
    reader.finish();
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) {
        require_member(tx, chat, user);
        store::write_settings(tx, chat, user, changed);
        return store::read_settings(tx, chat, user);
    };
    const auto settings = co_await context.database.transact(work);
    co_return http::Reply::json(settings_json(settings));
}

}  // namespace supd::chats
