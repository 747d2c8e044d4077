#include "context.hpp"
#include "requests.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/chats/limits.hpp>
#include <supd/http/query.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace supd::chats {
namespace {

/// The person of the path; `me` is the caller.
UserId path_user(const http::Request& request) {
    if (request.path_value("user_id") == "me") return request.caller().user;
    return request.path_id<UserId>("user_id");
}

asio::awaitable<http::Reply> page(Context& context, http::Request request,
                                  std::string (*json)(const std::vector<Member>&, std::size_t)) {
    request.allow_query({"limit", "cursor"});
    const auto limit = query_limit(request);
    const auto after = query_user_cursor(request);
    const auto chat = request.path_id<ChatId>("id");
    const auto user = request.caller().user;
    auto work = [&](db::Transaction& tx) {
        require_member(tx, chat, user);
        return store::list_members(tx, chat, after, limit + 1);
    };
    const auto members = co_await context.database.transact(db::Access::snapshot, work);
    co_return http::Reply::json(json(members, limit));
}

}  // namespace

void charge_added(Context& context, UserId actor, const Events& events) {
    std::ptrdiff_t people = 0;
    for (const auto& event : events.list)
        people += std::ranges::count_if(event.joined, [&](const UserId& user) { return user != actor; });
    context.limiter.require(http::Limit::people, http::RateLimiter::user_key(actor),
                            static_cast<double>(people));
}

asio::awaitable<http::Reply> handle_list_members(Context& context, http::Request request) {
    return page(context, std::move(request), members_json);
}

asio::awaitable<http::Reply> handle_list_reads(Context& context, http::Request request) {
    return page(context, std::move(request), reads_json);
}

asio::awaitable<http::Reply> handle_add_members(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    const auto users = reader.ids<UserId>("user_ids", kMaxMembers);
    if (!reader.raw("user_ids")) reader.fail("user_ids", "required", "This field is required.");
    reader.finish();
    auto change = [&](db::Transaction& tx) {
        Changed changed;
        changed.events = add_members(tx, act, users);
        charge_added(context, act.actor, changed.events);
        changed.json = members_json(store::read_members(tx, act.chat, users), users.size());
        return changed;
    };
    co_return co_await reply_to(context, change);
}

asio::awaitable<http::Reply> handle_change_role(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    const auto role = reader.text("role", {.min = 1, .max = 16});
    if (!role.empty() && role != "owner" && role != "admin" && role != "member")
        reader.fail("role", "bad_format", "One of owner, admin, member.");
    reader.finish();
    const auto target = path_user(request);
    auto change = [&](db::Transaction& tx) {
        Changed changed;
        if (role == "owner")
            changed.events = transfer(tx, act, target);
        else
            changed.events = change_role(tx, act, target, role == "admin" ? kAdminPower : kMemberPower);
        const auto members = store::read_members(tx, act.chat, {target});
        if (members.empty()) throw base::not_found();
        changed.json = member_json(members.front());
        return changed;
    };
    co_return co_await reply_to(context, change);
}

asio::awaitable<http::Reply> handle_remove_member(Context& context, http::Request request) {
    request.allow_query({"change_id"});
    const auto act = act_of(request, http::query_id<ChangeId>(request, "change_id"));
    const auto target = path_user(request);
    auto change = [&](db::Transaction& tx) {
        Changed changed;
        changed.events = remove_member(tx, act, target);
        return changed;
    };
    co_return co_await reply_to(context, change);
}

asio::awaitable<http::Reply> handle_transfer(Context& context, http::Request request) {
    const auto body = request.json();
    base::ObjectReader reader(body);
    const auto act = act_of(request, reader.maybe_id<ChangeId>("change_id"));
    const auto heir = reader.id<UserId>("user_id");
    reader.finish();
    auto change = [&](db::Transaction& tx) {
        return with_chat(tx, act.chat, act.actor, transfer(tx, act, heir));
    };
    co_return co_await reply_to(context, change);
}

}  // namespace supd::chats
