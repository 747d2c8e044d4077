#include "context.hpp"
#include "requests.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/chats/limits.hpp>
#include <supd/http/limits.hpp>
#include <supd/http/query.hpp>

#include <nlohmann/json.hpp>

namespace supd::chats {
namespace {

asio::awaitable<http::Reply> to_status(Context& context, http::Request request, Status status) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    reader.finish();
    auto change = [&](db::Transaction& tx) {
        return with_chat(tx, act.chat, act.actor, change_status(tx, act, status));
    };
    try {
        co_return co_await reply_to(context, change);
    } catch (const db::ConstraintViolation& refused) {
        // The other chat of the two was opened at the same moment: only the index of pairs has seen both.
        if (!refused.unique()) throw;
        throw another_chat_is_open();
    }
}

}  // namespace

Changed with_chat(db::Transaction& tx, ChatId chat, UserId actor, Events events) {
    Changed changed;
    changed.events = std::move(events);
    const auto seen = read_chat(tx, chat, actor);
    changed.json = chat_json(seen);
    changed.kept = !seen.last_message;
    return changed;
}

asio::awaitable<http::Reply> reply_to(Context& context, std::function<Changed(db::Transaction&)> change) {
    auto changed = co_await context.database.transact(std::move(change));
    context.hub.publish(std::move(changed.events.list));
    if (changed.json.empty()) co_return http::Reply::no_content();
    auto reply = http::Reply::json(std::move(changed.json), changed.status);
    reply.kept = changed.kept;
    co_return reply;
}

asio::awaitable<http::Reply> handle_list(Context& context, http::Request request) {
    request.allow_query({"limit", "cursor"});
    const auto limit = query_limit(request);
    auto after = std::make_optional<ListCursor>();
    if (const auto text = request.query_value("cursor")) after = ListCursor::parse(*text);
    if (!after) throw http::cursor_error();
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) { return list_chats(tx, user, *after, limit + 1); };
    auto chats = co_await context.database.transact(db::Access::read_only, work);
    std::string out = "{\"items\":[";
    std::size_t shown = 0;
    for (; shown < std::min(limit, chats.size()) && out.size() < http::kPageBytes; ++shown) {
        if (shown) out += ',';
        append_chat_json(out, chats[shown]);
    }
    out += "],\"next_cursor\":";
    if (shown < chats.size()) {
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
    auto change = [&](db::Transaction& tx) {
        auto made = create_chat(tx, actor, chat);
        charge_added(context, actor, made.events);
        auto changed = with_chat(tx, made.chat, actor, std::move(made.events));
        changed.status = made.created ? 201 : 200;
        return changed;
    };
    co_return co_await reply_to(context, change);
}

asio::awaitable<http::Reply> handle_get(Context& context, http::Request request) {
    request.allow_query({});
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) { return chat_json(read_chat(tx, chat, user)); };
    auto json = co_await context.database.transact(db::Access::read_only, work);
    co_return http::Reply::json(std::move(json));
}

asio::awaitable<http::Reply> handle_edit(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    const bool titled = reader.has("title");
    const auto title = reader.maybe_text("title", {.min = 1, .max = kMaxTitleBytes});
    reader.finish();
    auto change = [&](db::Transaction& tx) {
        return with_chat(tx, act.chat, act.actor, titled ? edit_chat(tx, act, title) : Events{});
    };
    co_return co_await reply_to(context, change);
}

asio::awaitable<http::Reply> handle_delete(Context& context, http::Request request) {
    request.allow_query({"change_id"});
    const auto act = act_of(request, http::query_id<ChangeId>(request, "change_id"));
    auto change = [&](db::Transaction& tx) {
        Changed changed;
        changed.events = delete_chat(tx, act);
        return changed;
    };
    co_return co_await reply_to(context, change);
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
    request.allow_query({});
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
    OwnSettings wanted;
    wanted.mute = reader.maybe_flag("mute");
    wanted.pin = reader.maybe_flag("pin");
    wanted.archive = reader.maybe_flag("archive");
    reader.finish();
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto change = [&](db::Transaction& tx) {
        auto edited = edit_settings(tx, chat, user, wanted);
        Changed changed;
        changed.events = std::move(edited.events);
        changed.json = settings_json(edited.settings);
        return changed;
    };
    co_return co_await reply_to(context, change);
}

}  // namespace supd::chats
