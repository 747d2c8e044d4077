#include "context.hpp"
#include "requests.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/chats/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::chats {
namespace {

/// The person of the path; `me` is the caller.
UserId path_user(const http::Request& request) {
    if (request.path_value("user_id") == "me") return request.caller().user;
    return request.path_id<UserId>("user_id");
}

asio::awaitable<std::vector<Member>> page(Context& context, http::Request request, std::size_t limit) {
    const auto after = query_user_cursor(request);
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) {
        require_member(tx, chat, user);
        return store::list_members(tx, chat, after, limit + 1);
    };
    co_return co_await context.database.transact(db::Access::snapshot, work);
}

struct Changed {
    Events events;
    std::vector<Member> members;
};

}  // namespace

asio::awaitable<http::Reply> handle_list_members(Context& context, http::Request request) {
    request.allow_query({"limit", "cursor"});
    const auto limit = query_limit(request);
    const auto members = co_await page(context, std::move(request), limit);
    co_return http::Reply::json(members_json(members, limit));
}

asio::awaitable<http::Reply> handle_list_reads(Context& context, http::Request request) {
    request.allow_query({"limit", "cursor"});
    const auto limit = query_limit(request);
    const auto members = co_await page(context, std::move(request), limit);
    co_return http::Reply::json(reads_json(members, limit));
}

asio::awaitable<http::Reply> handle_add_members(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = change_id_of(reader);
    const auto users = reader.ids<UserId>("user_ids", kMaxMembers);
    if (!reader.raw("user_ids")) reader.fail("user_ids", "required", "This field is required.");
    reader.finish();
    auto work = [&](db::Transaction& tx) {
        Changed changed;
        changed.events = add_members(tx, act, users);
        changed.members = store::read_members(tx, act.chat, users);
        return changed;
    };
    auto changed = co_await context.database.transact(work);
    context.hub.publish(std::move(changed.events.list));
    co_return http::Reply::json(members_json(changed.members, changed.members.size()));
}

asio::awaitable<http::Reply> handle_change_role(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = change_id_of(reader);
    const auto role = reader.text("role", {.min = 1, .max = 16});
    if (!role.empty() && role != "owner" && role != "admin" && role != "member")
        reader.fail("role", "bad_format", "One of owner, admin, member.");
    reader.finish();
    const auto target = path_user(request);
    auto work = [&](db::Transaction& tx) {
        Changed changed;
        if (role == "owner")
            changed.events = transfer(tx, act, target);
        else
            changed.events = change_role(tx, act, target, role == "admin" ? kAdminPower : kMemberPower);
        changed.members = store::read_members(tx, act.chat, {target});
        return changed;
    };
    auto changed = co_await context.database.transact(work);
    context.hub.publish(std::move(changed.events.list));
    if (changed.members.empty()) throw base::not_found();
    co_return http::Reply::json(member_json(changed.members.front()));
}

asio::awaitable<http::Reply> handle_remove_member(Context& context, http::Request request) {
    request.allow_query({"change_id"});
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = query_change_id(request);
    const auto target = path_user(request);
    auto work = [&](db::Transaction& tx) { return remove_member(tx, act, target); };
    auto events = co_await context.database.transact(work);
    context.hub.publish(std::move(events.list));
    co_return http::Reply::no_content();
}

asio::awaitable<http::Reply> handle_transfer(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = change_id_of(reader);
    const auto heir = reader.id<UserId>("user_id");
    reader.finish();
    struct Result {
        Events events;
        std::string json;
    };
    auto work = [&](db::Transaction& tx) {
        Result result;
        result.events = transfer(tx, act, heir);
        result.json = chat_json(read_chat(tx, act.chat, act.actor));
        return result;
    };
    auto result = co_await context.database.transact(work);
    context.hub.publish(std::move(result.events.list));
    co_return http::Reply::json(std::move(result.json));
}

}  // namespace supd::chats
