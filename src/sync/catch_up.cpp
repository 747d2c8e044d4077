// What a session missed: ordinary events chat by chat, then caught_up, then live. Who cannot be told what it
// missed is live at once, and resumes when it has called GET /sync.
#include "frames.hpp"

#include <supd/sync/sync.hpp>

#include <span>

namespace supd::sync {

Module::Module(db::Database& database, chatlog::Reader& reader, ws::Hub& hub, ListChats list_chats)
    : database_(database), reader_(reader), hub_(hub), list_chats_(std::move(list_chats)) {}

asio::awaitable<void> Module::catch_up(std::shared_ptr<ws::Session> session,
                                       std::optional<std::string> text) {
    std::optional<chatlog::Cursor> cursor;
    if (text) cursor = chatlog::Cursor::decode(*text);
    bool resync = text.has_value() && !cursor;
    const auto user = session->caller().user;
    auto missed = co_await reader_.missed(user, cursor);
    if (!missed) {
        resync = true;
        missed = co_await reader_.missed(user, std::nullopt);
    }
    if (!session->open()) co_return;
    hub_.hold(*session, missed->chats, missed->now.w);
    session->welcome();
    if (resync) {
        session->send_json(resync_frame());
        session->expect_resume();
        hub_.go_live(session);
        co_return;
    }

    for (auto rest = std::span(missed->ranges); !rest.empty();) {
        if (rest.front().empty()) {
            rest = rest.subspan(1);
            continue;
        }
        const bool room = co_await session->room();
        if (!room) co_return;
        const auto events = co_await reader_.next_entries(user, rest);
        for (const auto& event : events) {
            const bool still = co_await session->room();
            if (!still) co_return;
            if (!session->take_own(event.chat, event.seq)) session->send(event.frame);
        }
    }
    std::vector<std::string> marks;
    if (cursor) marks = co_await reader_.marks(user, cursor->w);
    for (const auto& mark : marks) {
        const bool room = co_await session->room();
        if (!room) co_return;
        session->send_json(mark);
    }
    const bool settled = co_await session->settled();
    if (!settled) co_return;
    session->send_json(caught_up_frame(missed->now));
    hub_.go_live(session);
}

}  // namespace supd::sync
