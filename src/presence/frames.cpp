// The commands of presence on the socket, and its frames.
#include "context.hpp"
#include "store.hpp"

#include <supd/base/json.hpp>
#include <supd/base/json_text.hpp>
#include <supd/chats/membership.hpp>
#include <supd/presence/limits.hpp>
#include <supd/ws/session.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace supd::presence {
namespace {

void append_presence(std::string& out, const Presence& presence) {
    out += R"({"user_id":")";
    presence.user.append_to(out);
    out += R"(","status":")";
    out += name_of(presence.status);
    out += R"(","status_text":)";
    if (presence.text.empty())
        out += "null";
    else
        base::append_json_string(out, presence.text);
    out += R"(,"last_seen_at":)";
    if (presence.last_seen != 0) {
        out += '"';
        base::append_time(out, presence.last_seen);
        out += '"';
    } else {
        out += "null";
    }
    out += '}';
}

}  // namespace

void tell(ws::Hub& hub, const Notice& notice) {
    std::string json = R"({"type":"presence","data":)";
    append_presence(json, notice.presence);
    json += '}';
    hub.send_latest(notice.watchers, notice.presence.user, ws::make_frame(json));
}

asio::awaitable<std::string> on_typing(Context& context, ws::Command command) {
    base::ObjectReader reader(command.data());
    const auto chat = reader.id<base::ChatId>("chat_id");
    const auto state = reader.text("state", {.min = 1, .max = 16});
    if (!state.empty() && state != "typing" && state != "recording" && state != "stopped")
        reader.fail("state", "bad_format", "One of typing, recording, stopped.");
    reader.finish();
    const auto user = command.caller().user;
    // While the session catches up the hub does not know yet; then the database is asked.
    if (!context.hub.subscribed(command.session(), chat)) {
        auto work = [&](db::Transaction& tx) { chats::require_member(tx, chat, user); };
        co_await context.database.transact(db::Access::read_only, work);
    }
    if (!context.board.may_type(command.caller().session)) co_return std::string();
    std::string json = R"({"type":"typing","chat_id":")";
    chat.append_to(json);
    json += R"(","data":{"chat_id":")";
    chat.append_to(json);
    json += R"(","user_id":")";
    user.append_to(json);
    json += R"(","state":")" + state + R"("}})";
    context.hub.send_to_chat(chat, ws::make_frame(json), user);
    co_return std::string();
}

asio::awaitable<std::string> on_presence(Context& context, ws::Command command) {
    base::ObjectReader reader(command.data());
    const auto name = reader.text("status", {.min = 1, .max = 16});
    const auto status = status_named(name);
    if (!name.empty() && !status) reader.fail("status", "bad_format", "One of online, away, offline.");
    auto text = reader.maybe_text("status_text", {.min = 0, .max = kMaxStatusTextBytes}).value_or("");
    reader.finish();
    if (!context.board.may_say(command.caller().session))
        throw base::Error(429, "rate_limited", "Too many changes of presence; slow down.")
            .with_header("Retry-After", "1");
    const auto user = command.caller().user;
    if (const auto notice = context.board.say(user, *status, std::move(text))) tell(context.hub, *notice);
    if (context.leases) tell_elsewhere(context, user);
    co_return std::string("{}");
}

asio::awaitable<std::string> on_subscribe(Context& context, ws::Command command) {
    base::ObjectReader reader(command.data());
    auto users = reader.ids<UserId>("user_ids", kMaxWatched);
    if (!reader.raw("user_ids")) reader.fail("user_ids", "required", "This field is required.");
    reader.finish();
    if (!context.board.may_watch(command.caller().session))
        throw base::Error(429, "rate_limited", "Too many subscriptions; slow down.")
            .with_header("Retry-After", "1");
    std::ranges::sort(users);
    const auto twice = std::ranges::unique(users);
    users.erase(twice.begin(), twice.end());
    const auto user = command.caller().user;
    auto work = [&](db::Transaction& tx) { return store::acquainted(tx, user, users); };
    const auto seen = co_await context.database.transact(db::Access::read_only, work);
    auto all = context.board.watch(command.caller().session, seen);
    if (context.leases) {
        const bool complete = co_await read_elsewhere(context, seen);
        all = context.board.look(seen);
        // Who may be connected elsewhere is not said to be offline; when it is known they are told of.
        if (!complete)
            std::erase_if(all, [&](const Presence& one) { return !context.board.known(one.user); });
    }
    std::string json = R"({"presence":[)";
    for (const auto& presence : all) {
        command.session().forget_latest(presence.user);
        if (json.back() != '[') json += ',';
        append_presence(json, presence);
    }
    co_return json + "]}";
}

}  // namespace supd::presence
