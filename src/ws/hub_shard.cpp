#include "hub_shard.hpp"

#include <supd/base/error.hpp>
#include <supd/base/log.hpp>
#include <supd/ws/relay.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <typeinfo>

namespace supd::ws {
namespace {

constexpr std::size_t kMaxWaiting =
    1'000;  // events of one chat that wait for an earlier one; the rest is read
// Longer than a hint of another process can be on its way: a socket that is here for so long was here before
// the one it tells of. Of two that are closer together the wall clock says which came later, the same to both
// processes, so that one stays.
constexpr std::chrono::seconds kSameTime{5};

}  // namespace

Hub::Shard::Shard(asio::io_context& ctx, LogSource& log, HubOptions options)
    : context(ctx), log_(log), options_(options), gap_timer_(ctx), sweep_timer_(ctx) {}

void Hub::Shard::attach(const std::shared_ptr<Session>& session) {
    session->hub.attached = true;
    ++session->hub.attachment;
    session->hub.generation = generation_;
    ++newer_.readers;
    session->hub.cursor_sent = base::Monotonic::now();
    auto& sessions = users_[session->caller().user];
    sessions.push_back(session.get());
    if (relay && sessions.size() == 1) relay->user_followed(session->caller().user, true);
    if (count.fetch_add(1, std::memory_order_seq_cst) == 0) sweep_timer_.cancel();  // wakes the sweeper
}

void Hub::Shard::detach(Session& session) {
    if (!session.hub.attached) return;
    auto at = users_.find(session.caller().user);
    if (at != users_.end()) {
        std::erase(at->second, &session);
        if (at->second.empty()) {
            marks_told_.erase(MarkOwner{at->first.bytes});
            users_.erase(at);
            if (relay) relay->user_followed(session.caller().user, false);
        }
    }
    for (const auto& chat : session.hub.chats)
        drop_subscriber(chat, session);
    if (!session.hub.held && !session.hub.live) end_snapshot(session);
    Session::HubState fresh;
    fresh.arrival = session.hub.arrival;
    fresh.attachment = session.hub.attachment;
    fresh.came_ms = session.hub.came_ms;
    fresh.came = session.hub.came;
    session.hub = std::move(fresh);
    count.fetch_sub(1, std::memory_order_seq_cst);
}

void Hub::Shard::drop_subscriber(base::ChatId chat, Session& session) {
    auto at = channels_.find(chat);
    if (at == channels_.end()) return;
    std::erase_if(at->second.subscribers, [&](const Subscriber& s) { return s.session == &session; });
    if (!at->second.subscribers.empty()) return;
    marks_told_.erase(MarkOwner{chat.bytes});
    channels_.erase(at);
    if (relay) relay->chat_followed(chat, false);
}

void Hub::Shard::unsubscribe(Session& session, base::ChatId chat) {
    std::erase(session.hub.chats, chat);
    drop_subscriber(chat, session);
}

Hub::Shard::Channel& Hub::Shard::subscribe(Session& session, base::ChatId chat, std::int64_t after) {
    auto [at, fresh] = channels_.try_emplace(chat);
    if (fresh) {
        at->second.last_seq = after;
        if (relay) relay->chat_followed(chat, true);
    }
    for (auto& subscriber : at->second.subscribers) {
        if (subscriber.session != &session) continue;
        subscriber.parted = false;
        return at->second;
    }
    at->second.subscribers.push_back({&session, after});
    session.hub.chats.push_back(chat);
    session.hub.subscribed_in = sweep_;
    return at->second;
}

// -- events
// -----------------------------------------------------------------------------------------------------

void Hub::Shard::on_events(const std::vector<ChatEvent>& events) {
    for (const auto& event : events) {
        if (snapshots()) {
            auto& head = newer_.heads[event.chat];
            head = std::max(head, event.seq);
        }
        on_event(event);
    }
}

void Hub::Shard::on_event(const ChatEvent& event) {
    auto at = channels_.find(event.chat);
    if (at == channels_.end()) {
        note_joins(event);  // no subscriber here; the event may bring the first
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
    if (!event.joined.empty()) note_joins(event);
    for (const auto& subscriber : channel.subscribers) {
        auto& session = *subscriber.session;
        if (event.seq <= subscriber.after) continue;
        const bool own = session.socket_id() == event.skip;
        if (!session.hub.live || subscriber.owed) {
            if (own) session.note_own(event.chat, event.seq);
            continue;
        }
        session.hub.news = true;
        if (!own && !session.take_own(event.chat, event.seq)) session.send(event.frame);
    }
    if (!event.left.empty()) note_leaves(event);  // may end the channel
}

void Hub::Shard::note_joins(const ChatEvent& event) {
    for (const auto& user : event.joined) {
        auto sessions = users_.find(user);
        if (sessions == users_.end()) continue;
        for (auto* session : sessions->second) {
            if (session->hub.live || session->hub.held) {
                subscribe(*session, event.chat, event.seq - 1);
                if (std::ranges::find(joined_chats_, event.chat) == joined_chats_.end())
                    joined_chats_.push_back(event.chat);
            } else {
                session->hub.joins.emplace_back(event.chat, event.seq - 1);
            }
        }
    }
}

// Who has not been given what comes before stays subscribed: the log says the same when it is read for them.
void Hub::Shard::note_leaves(const ChatEvent& event) {
    for (const auto& user : event.left) {
        auto sessions = users_.find(user);
        if (sessions == users_.end()) continue;
        for (auto* session : sessions->second) {
            auto* mine = subscription(*session, event.chat);
            if (!mine || event.seq <= mine->after) continue;
            if (session->hub.live && !mine->owed)
                unsubscribe(*session, event.chat);
            else
                mine->parted = true;
        }
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
    gap_timer_.expires_after(options_.gap_patience);
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
    try {
        co_await fill_now(chat, std::numeric_limits<std::int64_t>::max());
    } catch (const base::Error&) {  // the database is away; the sweep comes back to it
    } catch (const std::exception& error) {
        base::log::error("gap_not_read", {{"chat_id", chat}, {"kind", typeid(error).name()}});
    }
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
    for (;;) {
        auto at = channels_.find(chat);
        if (at == channels_.end() || at->second.last_seq >= upto) co_return;
        const auto page = co_await log_.read(chat, at->second.last_seq);
        for (const auto& event : page.events) {
            auto now = channels_.find(chat);
            if (now == channels_.end()) co_return;
            if (event.seq == now->second.last_seq + 1) deliver(now->second, event);  // else told meanwhile
        }
        drain_waiting(chat);
        if (!page.more) co_return;
    }
}

// -- ephemeral, control
// -----------------------------------------------------------------------------------------

void Hub::Shard::to_chat(base::ChatId chat, const FramePtr& frame, base::UserId except) {
    auto at = channels_.find(chat);
    if (at == channels_.end()) return;
    for (const auto& subscriber : at->second.subscribers)
        if (subscriber.session->caller().user != except && !subscriber.parted)
            subscriber.session->send_ephemeral(frame);
}

void Hub::Shard::latest_to(const std::vector<Recipient>& recipients, base::UserId about,
                           const FramePtr& frame) {
    for (const auto& to : recipients) {
        auto at = users_.find(to.user);
        if (at == users_.end()) continue;
        for (auto* session : at->second)
            if (session->caller().session == to.session) session->send_latest(about, frame);
    }
}

void Hub::Shard::on_marks(const LogSource::MarkHead& head, const std::vector<Mark>& marks) {
    for (const auto& mark : marks)
        tell(mark);
    auto* told = marks_told(head.owner);
    if (told && head.version == *told + 1) *told = head.version;
}

void Hub::Shard::tell(const Mark& mark) {
    if (snapshots()) newer_.marks.insert(mark.chat);
    auto at = channels_.find(mark.chat);
    if (at == channels_.end()) return;
    for (const auto& subscriber : at->second.subscribers) {
        auto& session = *subscriber.session;
        if (subscriber.parted || (!mark.only.is_nil() && session.caller().user != mark.only)) continue;
        session.hub.news = true;
        if (!session.hub.live || subscriber.owed || !session.send_ephemeral(mark.frame))
            session.hub.marks_missed = true;
    }
}

bool Hub::Shard::subscribed(Session& session, base::ChatId chat) {
    if (!session.hub.live || chat == own_log(session.caller().user)) return false;
    const auto* mine = subscription(session, chat);
    return mine && !mine->parted;
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
        if (session->caller().device == device && session->hub.arrival < keep)
            older.push_back(session->shared_from_this());
    for (const auto& session : older)
        session->close(CloseCode::replaced, "a newer connection of this device");
}

void Hub::Shard::yield_device(base::UserId user, base::DeviceId device, base::Millis at, bool wins_ties) {
    auto here = users_.find(user);
    if (here == users_.end()) return;
    const auto recently = base::Monotonic::now() - kSameTime;
    std::vector<std::shared_ptr<Session>> older;
    for (auto* session : here->second) {
        if (session->caller().device != device) continue;
        const auto& mine = session->hub;
        const bool later = mine.came_ms > at || (mine.came_ms == at && wins_ties);
        if (mine.came > recently && later)
            relay->device_attached(user, device, mine.came_ms);
        else
            older.push_back(session->shared_from_this());
    }
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
