// GET /api/v1/sync: the snapshot and its continuation, or what a cursor has missed, in pages.
#include "routes.hpp"

#include <supd/http/query.hpp>
#include <supd/sync/sync.hpp>

#include <nlohmann/json.hpp>

#include <span>

namespace supd::sync {
namespace {

std::string reply_text(const chatlog::Cursor& cursor, bool more, const std::vector<std::string>& events,
                       const std::vector<std::string>& chats) {
    const auto append_list = [](std::string& out, const std::vector<std::string>& list) {
        out += '[';
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (i > 0) out += ',';
            out += list[i];
        }
        out += ']';
    };
    std::string out =
        R"({"cursor":")" + cursor.encode() + R"(","has_more":)" + (more ? "true" : "false") + R"(,"events":)";
    append_list(out, events);
    out += R"(,"chats":)";
    append_list(out, chats);
    out += '}';
    return out;
}

base::Error expired() {
    return {410, "cursor_expired", "The cursor is too old or from before a restore; call again without one."};
}

}  // namespace

asio::awaitable<http::Reply> Module::snapshot_page(base::UserId user, std::optional<chatlog::Cursor> cursor,
                                                   std::size_t limit) {
    chatlog::Cursor next;
    base::ChatId after;
    if (cursor) {
        next = *cursor;
        after = cursor->page->chat;
    } else {
        const auto now = co_await reader_.missed(user, std::nullopt);
        next = now->now;
    }
    auto look = [&](db::Transaction& tx) { return list_chats_(tx, user, after, limit); };
    // Chats are read later than W: what changed in between is in the chats and comes again as an event, never
    // neither.
    const auto page = co_await database_.transact(db::Access::snapshot, std::ref(look));
    next.page.reset();
    if (page.more) {
        chatlog::Cursor::Page more;
        more.upto_w = next.w;
        more.chat = page.ids.back();
        more.after = chatlog::Cursor::kSnapshot;
        next.page = more;
    }
    co_return http::Reply::json(reply_text(next, page.more, {}, page.chats));
}

asio::awaitable<http::Reply> Module::get_sync(http::Request request) {
    request.allow_query({"cursor", "limit"});
    const auto user = request.caller().user;
    const auto limit = static_cast<std::size_t>(request.query_integer(
        "limit", static_cast<std::int64_t>(kDefaultPage), 1, static_cast<std::int64_t>(kMaxPage)));
    const auto text = request.query_value("cursor");
    if (!text || text->empty()) co_return co_await snapshot_page(user, std::nullopt, limit);
    const auto cursor = chatlog::Cursor::decode(*text);
    if (!cursor) throw http::cursor_error("This is not a cursor of this server.");
    auto missed = co_await reader_.missed(user, cursor);
    if (!missed) throw expired();
    if (cursor->page && cursor->page->after == chatlog::Cursor::kSnapshot)
        co_return co_await snapshot_page(user, cursor, limit);

    chatlog::Cursor next = *cursor;
    chatlog::Cursor::Page at;
    at.upto_w = cursor->page ? cursor->page->upto_w : missed->now.w;
    std::vector<std::string> events;
    std::size_t bytes = 0;
    auto rest = std::span(missed->ranges);
    if (cursor->page) {
        while (!rest.empty() && rest.front().chat < cursor->page->chat)
            rest = rest.subspan(1);
        if (!rest.empty() && rest.front().chat == cursor->page->chat)
            rest.front().after = std::max(rest.front().after, cursor->page->after);
    }
    for (; !rest.empty(); rest = rest.subspan(rest.front().empty() ? 1 : 0)) {
        if (rest.front().empty()) continue;
        if (events.size() >= limit || bytes >= chatlog::kPageBytes) {
            at.chat = rest.front().chat;
            at.after = rest.front().after;
            next.page = at;
            co_return http::Reply::json(reply_text(next, true, events, {}));
        }
        const auto page = co_await reader_.next_entries(user, rest, limit - events.size());
        for (const auto& entry : page) {
            events.emplace_back(entry.frame->json());
            bytes += events.back().size();
        }
    }
    // Marks are the last page's, all of them: two a member and chat that moved, and the last one wins.
    const auto marks = co_await reader_.marks(user, cursor->w);
    events.insert(events.end(), marks.begin(), marks.end());
    next.page.reset();
    next.w = at.upto_w;
    co_return http::Reply::json(reply_text(next, false, events, {}));
}

void Module::add_routes(http::Router& router) {
    const auto get = [this](http::Request request) { return get_sync(std::move(request)); };
    router.add(routes::get_sync(get));
}

}  // namespace supd::sync
