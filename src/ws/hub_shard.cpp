#include "hub_shard.hpp"

#include <supd/base/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace supd::ws {
namespace {

constexpr std::size_t kMaxRecent = 50'000;  // events kept for sessions that are catching up
constexpr std::size_t kMaxWaiting =
    1'000;  // events of one chat that wait for an earlier one; the rest is read
constexpr std::chrono::milliseconds kGapPatience{25};

}  // namespace

Hub::Shard::Shard(asio::io_context& ctx, LogSource& log)
    : context(ctx), log_(log), gap_timer_(ctx), sweep_timer_(ctx) {}

void Hub::Shard::attach(const std::shared_ptr<Session>& session) {
    session->hub.attached = true;
    session->hub.live = false;
    session->hub.cursor_sent = base::Monotonic::now();
    users_[session->caller().user].push_back(session.get());
    ++held_;
    if (count.fetch_add(1, std::memory_order_seq_cst) == 0) sweep_timer_.cancel();  // wakes the sweeper
}

void Hub::Shard::detach(Session& session) {
    if (!session.hub.attached) return;
    auto at = users_.find(session.caller().user);
    if (at != users_.end()) {
        std::erase(at->second, &session);
        if (at->second.empty()) users_.erase(at);
    }
    for (const auto& chat : session.hub.chats)
        drop_subscriber(chat, session);
    session.hub.chats = {};
    if (!session.hub.live && --held_ == 0) {
        recent_.clear();
        recent_overflow_ = false;
    }
    session.hub.attached = false;
    session.hub.live = false;
    count.fetch_sub(1, std::memory_order_seq_cst);
}

void Hub::Shard::drop_subscriber(base::ChatId chat, Session& session) {
    auto at = channels_.find(chat);
    if (at == channels_.end()) return;
    std::erase_if(at->second.subscribers, [&](const Subscriber& s) { return s.session == &session; });
    if (at->second.subscribers.empty()) channels_.erase(at);
}

void Hub::Shard::unsubscribe(Session& session, base::ChatId chat) {
    std::erase(session.hub.chats, chat);
    drop_subscriber(chat, session);
}

Hub::Shard::Channel& Hub::Shard::subscribe(Session& session, base::ChatId chat, std::int64_t after) {
    auto [at, fresh] = channels_.try_emplace(chat);
    if (fresh) at->second.last_seq = after;
    for (auto& subscriber : at->second.subscribers)
        if (subscriber.session == &session) return at->second;
    at->second.subscribers.push_back({&session, after});
    session.hub.chats.push_back(chat);
    return at->second;
}

// -- events
// -----------------------------------------------------------------------------------------------------

void Hub::Shard::on_events(const std::vector<ChatEvent>& events) {
    for (const auto& event : events) {
        if (held_ > 0) {
            if (recent_.size() < kMaxRecent)
                recent_.push_back(event);
            else
                recent_overflow_ = true;
        }
        on_event(event);
    }
}

void Hub::Shard::on_event(const ChatEvent& event) {
    auto at = channels_.find(event.chat);
    if (at == channels_.end()) {
        // No subscriber here; the event may bring the first.
        for (const auto& user : event.joined) {
            auto sessions = users_.find(user);
            if (sessions == users_.end()) continue;
            for (auto* session : sessions->second)
                if (session->hub.live) subscribe(*session, event.chat, event.seq - 1);
        }
        at = channels_.find(event.chat);
        if (at == channels_.end()) return;
    }
    auto& channel = at->second;
    if (event.seq <= channel.last_seq) return;
    if (event.seq == channel.last_seq + 1) {
        deliver(channel, event);
        if (auto again = channels_.find(event.chat);
            again != channels_.end() && !again->second.waiting.empty())
            drain_waiting(event.chat);
        return;
    }
    if (channel.waiting.size() < kMaxWaiting) channel.waiting.emplace(event.seq, event);
    if (std::ranges::find(gapped_, event.chat) == gapped_.end()) gapped_.push_back(event.chat);
    watch_gaps();
}

void Hub::Shard::deliver(Channel& channel, const ChatEvent& event) {
    channel.last_seq = event.seq;
    for (const auto& user : event.joined) {
        auto sessions = users_.find(user);
        if (sessions == users_.end()) continue;
        for (auto* session : sessions->second)
            if (session->hub.live) subscribe(*session, event.chat, event.seq - 1);
    }
    for (const auto& subscriber : channel.subscribers) {
        if (event.seq <= subscriber.after) continue;
        auto& session = *subscriber.session;
        session.hub.news = true;
        if (!event.skip.is_nil() && session.caller().session == event.skip) continue;
        session.send(event.frame);
    }
    for (const auto& user : event.left) {
        auto sessions = users_.find(user);
        if (sessions == users_.end()) continue;
        for (auto* session : sessions->second)
            unsubscribe(*session, event.chat);  // may end the channel
    }
}

void Hub::Shard::drain_waiting(base::ChatId chat) {
    for (;;) {
        auto at = channels_.find(chat);
        if (at == channels_.end() || at->second.waiting.empty()) return;
        auto& channel = at->second;
        auto first = channel.waiting.begin();
        if (first->first > channel.last_seq + 1) return;
        const ChatEvent event = std::move(first->second);
        channel.waiting.erase(first);
        if (event.seq == channel.last_seq + 1) deliver(channel, event);
    }
}

// -- gaps
// -------------------------------------------------------------------------------------------------------

void Hub::Shard::watch_gaps() {
    if (gap_timer_set_ || stopping_) return;
    gap_timer_set_ = true;
    gap_timer_.expires_after(kGapPatience);
    gap_timer_.async_wait([this](const boost::system::error_code& error) {
        gap_timer_set_ = false;
        if (error) return;
        std::vector<base::ChatId> chats;
        chats.swap(gapped_);
        for (const auto& chat : chats) {
            auto at = channels_.find(chat);
            if (at != channels_.end() && !at->second.waiting.empty()) read_gap(chat);
        }
    });
}

void Hub::Shard::read_gap(base::ChatId chat) {
    auto at = channels_.find(chat);
    if (at == channels_.end() || at->second.reading) return;
    at->second.reading = true;
    if (!tasks_.spawn(context.get_executor(), fill(chat))) at->second.reading = false;
}

asio::awaitable<void> Hub::Shard::fill(base::ChatId chat) {
    co_await fill_now(chat, std::numeric_limits<std::int64_t>::max());
    auto at = channels_.find(chat);
    if (at == channels_.end()) co_return;
    at->second.reading = false;
    if (!at->second.waiting.empty()) {
        gapped_.push_back(chat);
        watch_gaps();
    }
}

// Reads on from the channel's last seq until `upto` or the end of the log. The channel may end or move on
// meanwhile.
asio::awaitable<void> Hub::Shard::fill_now(base::ChatId chat, std::int64_t upto) {
    constexpr std::size_t kPage = 500;
    for (;;) {
        auto at = channels_.find(chat);
        if (at == channels_.end() || at->second.last_seq >= upto) co_return;
        std::vector<ChatEvent> events;
        try {
            events = co_await log_.read(chat, at->second.last_seq, kPage);
        } catch (const base::Error&) {
            co_return;  // the database is away; the sweep comes back to it
        }
        for (const auto& event : events) {
            auto now = channels_.find(chat);
            if (now == channels_.end()) co_return;
            if (event.seq != now->second.last_seq + 1) continue;  // told meanwhile
            if (held_ > 0) recent_.push_back(event);
            deliver(now->second, event);
        }
        drain_waiting(chat);
        if (events.size() < kPage) co_return;
    }
}

// -- catch-up
// ---------------------------------------------------------------------------------------------------

void Hub::Shard::go_live(const std::shared_ptr<Session>& session, const std::vector<LogSource::Head>& chats,
                         std::uint64_t w) {
    if (!session->hub.attached || session->hub.live) return;
    // The next sweep must look back to the oldest snapshot that a live session stands on.
    if (swept_w_ == 0 || w < swept_w_) swept_w_ = w;
    session->hub.cursor_w = w;
    bool complete = !recent_overflow_;
    std::unordered_map<base::ChatId, std::int64_t>
        owed;  // what the others have got beyond this session's snapshot
    for (const auto& head : chats) {
        const auto& channel = subscribe(*session, head.chat, head.last_seq);
        if (channel.last_seq > head.last_seq) owed.emplace(head.chat, channel.last_seq);
    }
    session->hub.live = true;
    session->hub.news = true;
    std::vector<ChatEvent> replay = recent_;
    if (--held_ == 0) {
        recent_.clear();
        recent_overflow_ = false;
    }
    std::ranges::sort(replay, {}, &ChatEvent::seq);
    for (const auto& event : replay) {
        if (!session->open()) return;
        if (!give_missed(*session, event)) complete = false;
    }
    for (const auto& [chat, upto] : owed) {
        const auto* mine = subscription(*session, chat);
        if (mine && mine->after < upto) complete = false;
    }
    // Something slipped between snapshot and here: the cursor that the client holds gets it.
    if (!complete) session->close(CloseCode::too_slow, "resume");
}

Hub::Shard::Subscriber* Hub::Shard::subscription(Session& session, base::ChatId chat) {
    auto at = channels_.find(chat);
    if (at == channels_.end()) return nullptr;
    for (auto& subscriber : at->second.subscribers)
        if (subscriber.session == &session) return &subscriber;
    return nullptr;
}

// One event that came while the session was held back. A channel that is past it has given it to the others,
// so the session gets it here; one that is not takes it the ordinary way. False = one before it is missing.
bool Hub::Shard::give_missed(Session& session, const ChatEvent& event) {
    const auto user = session.caller().user;
    auto* mine = subscription(session, event.chat);
    if (!mine && std::ranges::find(event.joined, user) != event.joined.end()) {
        subscribe(session, event.chat, event.seq - 1);
        mine = subscription(session, event.chat);
    }
    if (!mine || event.seq <= mine->after) return true;
    if (event.seq > channels_.at(event.chat).last_seq) {
        on_event(event);
        return true;
    }
    if (event.seq != mine->after + 1) return false;
    mine->after = event.seq;
    if (event.skip.is_nil() || session.caller().session != event.skip) session.send(event.frame);
    if (std::ranges::find(event.left, user) != event.left.end()) unsubscribe(session, event.chat);
    return true;
}

// -- ephemeral, control
// -----------------------------------------------------------------------------------------

void Hub::Shard::to_chat(base::ChatId chat, const FramePtr& frame, base::UserId except) {
    auto at = channels_.find(chat);
    if (at == channels_.end()) return;
    for (const auto& subscriber : at->second.subscribers)
        if (subscriber.session->caller().user != except) subscriber.session->send_ephemeral(frame);
}

void Hub::Shard::to_users(const std::vector<base::UserId>& users, const FramePtr& frame,
                          base::SessionId except) {
    for (const auto& user : users) {
        auto at = users_.find(user);
        if (at == users_.end()) continue;
        for (auto* session : at->second)
            if (except.is_nil() || session->caller().session != except) session->send_ephemeral(frame);
    }
}

bool Hub::Shard::subscribed(const Session& session, base::ChatId chat) const {
    return std::ranges::find(session.hub.chats, chat) != session.hub.chats.end();
}

// Closing detaches, which changes the tables: gather first, then close.
template <class Picks>
void Hub::Shard::close_those(Picks picks, CloseCode code, const std::string& reason) {
    std::vector<std::shared_ptr<Session>> found;
    for (const auto& [user, sessions] : users_)
        for (auto* session : sessions)
            if (picks(*session)) found.push_back(session->shared_from_this());
    for (const auto& session : found)
        session->close(code, reason);
}

void Hub::Shard::close_session(base::SessionId id, CloseCode code, const std::string& reason) {
    close_those([&](const Session& s) { return s.caller().session == id; }, code, reason);
}

void Hub::Shard::replace_device(base::UserId user, base::DeviceId device, std::uint64_t keep) {
    auto at = users_.find(user);
    if (at == users_.end()) return;
    std::vector<std::shared_ptr<Session>> older;
    for (auto* session : at->second)
        if (session->caller().device == device && session->socket_id() < keep)
            older.push_back(session->shared_from_this());
    for (const auto& session : older)
        session->close(CloseCode::replaced, "a newer connection of this device");
}

void Hub::Shard::start() {
    tasks_.spawn(context.get_executor(), sweep_loop());
}

void Hub::Shard::stop() {
    asio::post(context, [this] {
        stopping_ = true;
        gap_timer_.cancel();
        sweep_timer_.cancel();
    });
    tasks_.cancel();
    tasks_.wait();
}

}  // namespace supd::ws
