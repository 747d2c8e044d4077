// The hub's upkeep: heals what hints have missed and moves the cursors on.
#include "hub_shard.hpp"

#include <supd/base/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <optional>

namespace supd::ws {
namespace {

constexpr std::chrono::milliseconds kSweepPause{1000};
constexpr std::chrono::seconds kCursorEvery{10};
constexpr std::size_t kSweepPage = 5'000;

template <class Id, class Map>
std::vector<std::vector<Id>> pages_of(const Map& map) {
    std::vector<std::vector<Id>> pages;
    for (const auto& [id, value] : map) {
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
            sweep_timer_.expires_after(kSweepPause);
        co_await sweep_timer_.async_wait(tuple);
        if (stopping_) break;
        if (count.load() == 0) continue;
        try {
            co_await sweep();
        } catch (const base::Error&) {
            continue;  // the database is away: cursors stay where they are
        }
    }
}

asio::awaitable<void> Hub::Shard::sweep() {
    const auto chats = pages_of<base::ChatId>(channels_);
    const auto users = pages_of<base::UserId>(users_);
    const auto pages = std::max<std::size_t>({chats.size(), users.size(), 1});
    std::optional<LogSource::Sweep> first;
    std::vector<LogSource::Head> heads;
    bool adopted = false;
    for (std::size_t i = 0; i < pages; ++i) {
        auto some_chats = i < chats.size() ? chats[i] : std::vector<base::ChatId>{};
        auto some_users = i < users.size() ? users[i] : std::vector<base::UserId>{};
        auto part = co_await log_.sweep(swept_w_, std::move(some_chats), std::move(some_users));
        for (const auto& join : part.joined)
            adopted |= adopt_join(join);
        heads.insert(heads.end(), part.heads.begin(), part.heads.end());
        if (!first) first = std::move(part);  // the earliest snapshot bounds the cursor
    }
    for (const auto& head : heads) {
        auto at = channels_.find(head.chat);
        if (at != channels_.end() && at->second.last_seq < head.last_seq)
            co_await fill_now(head.chat, head.last_seq);
    }
    for (const auto& head : heads) {
        auto at = channels_.find(head.chat);
        if (at != channels_.end() && at->second.last_seq < head.last_seq)
            co_return;  // not caught up: the cursor waits
    }
    if (adopted)
        co_return;  // what the new subscriptions lack is being read: the next sweep counts their chats, too
    swept_w_ = first->w;
    send_cursors(first->cursor, first->w);
}

// A membership that began in another process: its first event may never have been told here. True when there
// was one.
bool Hub::Shard::adopt_join(const LogSource::Joined& join) {
    auto at = users_.find(join.user);
    if (at == users_.end()) return false;
    const auto sessions = at->second;  // closing one changes the list
    bool adopted = false;
    for (auto* session : sessions) {
        if (!session->hub.live || subscribed(*session, join.chat)) continue;
        adopted = true;
        auto known = channels_.find(join.chat);
        if (known != channels_.end() && known->second.last_seq >= join.from_seq) {
            // The channel is past the join: this session alone lacks the beginning.
            session->close(CloseCode::too_slow, "resume");
            continue;
        }
        subscribe(*session, join.chat, join.from_seq - 1);
        read_gap(join.chat);
    }
    return adopted;
}

void Hub::Shard::send_cursors(const std::string& cursor, std::uint64_t w) {
    const auto now = base::Monotonic::now();
    FramePtr frame;
    for (const auto& [user, sessions] : users_)
        for (auto* session : sessions) {
            auto& state = session->hub;
            // A session that went live after this snapshot has a newer cursor already.
            if (!state.live || !state.news || state.cursor_w >= w || now - state.cursor_sent < kCursorEvery)
                continue;
            if (!frame) frame = make_frame(R"({"type":"cursor","data":{"cursor":")" + cursor + R"("}})");
            state.news = false;
            state.cursor_sent = now;
            state.cursor_w = w;
            session->send(frame);
        }
}

}  // namespace supd::ws
