// The hub's upkeep: heals what hints have missed and moves the cursors on.
#include "hub_shard.hpp"

#include <supd/base/error.hpp>
#include <supd/base/log.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <typeinfo>

namespace supd::ws {
namespace {

constexpr std::size_t kMarksPage = 100;  // sessions, or owners of marks, in one question
constexpr std::size_t kSweepPage = 5'000;

template <class Id, class Map, class Wanted>
std::vector<std::vector<Id>> pages_of(const Map& map, Wanted wanted) {
    std::vector<std::vector<Id>> pages;
    for (const auto& [id, value] : map) {
        if (!wanted(id)) continue;
        if (pages.empty() || pages.back().size() == kSweepPage) pages.emplace_back();
        pages.back().push_back(id);
    }
    return pages;
}

}  // namespace

// Heals what hints have missed (another process's commits, a commit whose answer was lost) and moves the
// cursor on: when every channel has reached the head that the snapshot of W shows, W is what the sessions
// have.
asio::awaitable<void> Hub::Shard::sweep_loop() {
    constexpr auto tuple = asio::as_tuple(asio::use_awaitable);
    while (!stopping_) {
        if (count.load() == 0)
            sweep_timer_.expires_at(asio::steady_timer::time_point::max());  // at rest: no wake-ups at all
        else
            sweep_timer_.expires_after(options_.sweep_pause);
        co_await sweep_timer_.async_wait(tuple);
        if (stopping_) break;
        if (count.load() == 0) continue;
        try {
            co_await sweep();
        } catch (const base::Error&) {
            continue;  // the database is away: cursors stay where they are
        } catch (const std::exception& error) {
            base::log::error("sweep_failed", {{"kind", typeid(error).name()}});
        }
    }
}

asio::awaitable<void> Hub::Shard::sweep() {
    ++sweep_;
    const auto since = swept_w_;
    oldest_joiner_ = std::numeric_limits<std::uint64_t>::max();
    // The heads of the users' own logs come with the users.
    const auto of_chat = [this](base::ChatId channel) { return !users_.contains({channel.bytes}); };
    const auto chats = pages_of<base::ChatId>(channels_, of_chat);
    const auto users = pages_of<base::UserId>(users_, [](base::UserId) { return true; });
    const auto pages = std::max<std::size_t>({chats.size(), users.size(), 1});
    std::optional<LogSource::Sweep> first;
    std::vector<LogSource::Head> heads;
    std::vector<LogSource::Joined> joins;
    std::vector<LogSource::MarkHead> marks;
    for (std::size_t i = 0; i < pages; ++i) {
        auto some_chats = i < chats.size() ? chats[i] : std::vector<base::ChatId>{};
        auto some_users = i < users.size() ? users[i] : std::vector<base::UserId>{};
        auto part = co_await log_.sweep(since, std::move(some_chats), std::move(some_users));
        for (const auto& join : part.joined) {
            adopt_join(join);
            joins.push_back(join);
        }
        heads.insert(heads.end(), part.heads.begin(), part.heads.end());
        marks.insert(marks.end(), part.marks.begin(), part.marks.end());
        if (!first) first = std::move(part);  // the earliest snapshot bounds the cursor
    }
    const auto behind = [this](const LogSource::Head& head) {
        auto at = channels_.find(head.chat);
        return at != channels_.end() && at->second.last_seq < head.last_seq;
    };
    const auto unheard = [this](const LogSource::MarkHead& head) {
        const auto* told = marks_told(head.owner);
        return told && *told < head.version;
    };
    if (std::ranges::any_of(heads, behind) || std::ranges::any_of(marks, unheard)) {
        sweep_timer_.expires_after(options_.in_flight);
        co_await sweep_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    for (const auto& head : heads)
        if (behind(head)) co_await fill_now(head.chat, head.last_seq);
    if (std::ranges::any_of(heads, behind)) co_return;  // not caught up: the cursor waits
    // Once more: what was read may have ended a stay in a chat that a later one of these has begun again.
    for (const auto& join : joins)
        adopt_join(join);
    const auto begun = joined_chats_;
    for (const auto& chat : begun)
        co_await fill_now(chat, std::numeric_limits<std::int64_t>::max());
    joined_chats_.erase(joined_chats_.begin(), joined_chats_.begin() + std::ssize(begun));
    co_await tell_moved_marks(std::move(marks), since);
    co_await send_missed_marks();
    swept_w_ = std::min(first->w, oldest_joiner_);
    send_cursors(first->cursor, first->w);
}

// A membership that began in another process: its first event may never have been told here.
void Hub::Shard::adopt_join(const LogSource::Joined& join) {
    auto at = users_.find(join.user);
    if (at == users_.end()) return;
    for (auto* session : at->second) {
        if (!(session->hub.live || session->hub.held) || subscribed(*session, join.chat)) continue;
        if (subscribe(*session, join.chat, join.from_seq - 1).last_seq < join.from_seq)
            joined_chats_.push_back(join.chat);
        else if (session->hub.live)  // the channel is past the join: this session alone lacks the beginning
            owe(*session, {join.chat});
    }
}

// Null when neither such a chat nor such a user is here.
std::int64_t* Hub::Shard::marks_told(MarkOwner owner) {
    if (!channels_.contains({owner.bytes}) && !users_.contains({owner.bytes})) return nullptr;
    return &marks_told_[owner];
}

// Those that another process wrote, and those whose answer was lost here.
asio::awaitable<void> Hub::Shard::tell_moved_marks(std::vector<LogSource::MarkHead> heads,
                                                   std::uint64_t since) {
    for (std::size_t i = 0; i < heads.size(); i += kMarksPage) {
        const std::span page(heads.data() + i, std::min(kMarksPage, heads.size() - i));
        std::vector<MarkOwner> owners;
        for (const auto& head : page)
            if (const auto* told = marks_told(head.owner); told && *told < head.version)
                owners.push_back(head.owner);
        if (owners.empty()) continue;
        const auto marks = co_await log_.marks_of(std::move(owners), since);
        for (const auto& mark : marks)
            tell(mark);
        for (const auto& head : page)
            if (auto* told = marks_told(head.owner)) *told = std::max(*told, head.version);
    }
}

// To those who can take them now; the others keep their cursor until they can.
asio::awaitable<void> Hub::Shard::send_missed_marks() {
    std::vector<std::shared_ptr<Session>> all;
    for (const auto& [user, sessions] : users_)
        for (auto* session : sessions)
            if (session->hub.live && session->hub.marks_missed) all.push_back(session->shared_from_this());
    for (std::size_t i = 0; i < all.size(); i += kMarksPage) {
        const std::span page(all.data() + i, std::min(kMarksPage, all.size() - i));
        std::vector<LogSource::MarksOf> users;
        for (const auto& session : page) {
            session->hub.marks_missed = false;  // what moves from here on is noted anew
            users.push_back({session->caller().user, session->hub.cursor_w});
        }
        std::vector<std::vector<std::string>> marks;
        try {
            marks = co_await log_.marks(std::move(users));
        } catch (...) {
            for (const auto& session : page)
                session->hub.marks_missed = true;
            throw;
        }
        for (std::size_t n = 0; n < page.size(); ++n)
            for (const auto& mark : marks[n])
                if (!page[n]->send_ephemeral(make_frame(mark))) page[n]->hub.marks_missed = true;
    }
}

void Hub::Shard::send_cursors(const std::string& cursor, std::uint64_t w) {
    const auto now = base::Monotonic::now();
    FramePtr frame;
    for (const auto& [user, sessions] : users_)
        for (auto* session : sessions) {
            auto& state = session->hub;
            // What began while this sweep was under way was not in it: the next one speaks for it.
            if (!state.live || state.no_cursor || !state.news || state.owed > 0 || state.marks_missed ||
                state.subscribed_in == sweep_ || state.cursor_w >= w ||
                now - state.cursor_sent < options_.cursor_every)
                continue;
            if (!frame) frame = make_frame(R"({"type":"cursor","data":{"cursor":")" + cursor + R"("}})");
            state.news = false;
            state.cursor_sent = now;
            state.cursor_w = w;
            session->send(frame);
        }
}

}  // namespace supd::ws
