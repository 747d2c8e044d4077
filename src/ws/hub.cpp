#include "hub_shard.hpp"

#include <supd/ws/hub.hpp>
#include <supd/ws/relay.hpp>

#include <boost/asio/post.hpp>

namespace supd::ws {

Hub::Hub(async::IoThreads& threads, LogSource& log, HubOptions options) {
    for (std::size_t i = 0; i < threads.size(); ++i)
        shards_.push_back(std::make_unique<Shard>(threads.context(i), log, options));
}

Hub::~Hub() = default;

void Hub::relay_by(Relay& relay) {
    relay_ = &relay;
    for (auto& shard : shards_)
        shard->relay = &relay;
}

void Hub::start() {
    for (auto& shard : shards_)
        shard->start();
}

void Hub::stop() {
    for (auto& shard : shards_)
        shard->stop();
}

Hub::Shard& Hub::here() {
    return *shards_[async::IoThreads::current()];
}

void Hub::publish(std::vector<ChatEvent> events) {
    const auto shared = std::make_shared<const std::vector<ChatEvent>>(std::move(events));
    post_events(shared);
    if (relay_) relay_->events_published(shared);
}

void Hub::receive_events(std::vector<ChatEvent> events) {
    post_events(std::make_shared<const std::vector<ChatEvent>>(std::move(events)));
}

void Hub::post_events(const std::shared_ptr<const std::vector<ChatEvent>>& shared) {
    for (auto& one : shards_) {
        auto* shard = one.get();
        // Nobody there: nothing to tell. A session that attaches later reads its snapshot after this commit.
        if (shard->count.load(std::memory_order_seq_cst) == 0) continue;
        asio::post(shard->context, [shard, shared] { shard->on_events(*shared); });
    }
}

void Hub::send_to_chat(base::ChatId chat, FramePtr frame, base::UserId except) {
    if (relay_) relay_->chat_frame_sent(chat, frame, except);
    receive_chat_frame(chat, std::move(frame), except);
}

void Hub::receive_chat_frame(base::ChatId chat, FramePtr frame, base::UserId except) {
    for (auto& one : shards_) {
        auto* shard = one.get();
        if (shard->count.load(std::memory_order_relaxed) == 0) continue;
        asio::post(shard->context, [shard, chat, frame, except] { shard->to_chat(chat, frame, except); });
    }
}

void Hub::send_marks(LogSource::MarkHead head, std::vector<Mark> marks) {
    const auto shared = std::make_shared<const std::vector<Mark>>(std::move(marks));
    post_marks(head, shared);
    if (relay_) relay_->marks_sent(head, shared);
}

void Hub::receive_marks(LogSource::MarkHead head, std::vector<Mark> marks) {
    post_marks(head, std::make_shared<const std::vector<Mark>>(std::move(marks)));
}

void Hub::post_marks(const LogSource::MarkHead& head,
                     const std::shared_ptr<const std::vector<Mark>>& shared) {
    for (auto& one : shards_) {
        auto* shard = one.get();
        if (shard->count.load(std::memory_order_seq_cst) == 0) continue;
        asio::post(shard->context, [shard, head, shared] { shard->on_marks(head, *shared); });
    }
}

void Hub::send_latest(std::vector<Recipient> recipients, base::UserId about, FramePtr frame) {
    const auto shared = std::make_shared<const std::vector<Recipient>>(std::move(recipients));
    for (auto& one : shards_) {
        auto* shard = one.get();
        if (shard->count.load(std::memory_order_relaxed) == 0) continue;
        asio::post(shard->context,
                   [shard, shared, about, frame] { shard->latest_to(*shared, about, frame); });
    }
}

void Hub::close_session(base::SessionId session, CloseCode code, std::string reason) {
    for (auto& one : shards_) {
        auto* shard = one.get();
        asio::post(shard->context,
                   [shard, session, code, reason] { shard->close_session(session, code, reason); });
    }
}

std::size_t Hub::connected() const noexcept {
    std::size_t sum = 0;
    for (const auto& shard : shards_)
        sum += shard->count.load(std::memory_order_relaxed);
    return sum;
}

void Hub::attach(const std::shared_ptr<Session>& session) {
    auto& mine = here();
    if (session->hub.arrival == 0) session->hub.arrival = next_arrival_.fetch_add(1);
    // Not when it resumes: by then another process may have a newer one.
    const bool came = relay_ && session->hub.came_ms == 0;
    if (came) {
        session->hub.came_ms = base::wall_clock_ms();
        session->hub.came = base::Monotonic::now();
    }
    mine.attach(session);
    // One socket per device: the newer one wins, wherever the older one lives.
    for (auto& one : shards_) {
        auto* shard = one.get();
        const auto device = session->caller().device;
        const auto user = session->caller().user;
        const auto keep = session->hub.arrival;
        asio::post(shard->context,
                   [shard, user, device, keep] { shard->replace_device(user, device, keep); });
    }
    if (came) relay_->device_attached(session->caller().user, session->caller().device, session->hub.came_ms);
}

void Hub::receive_device(base::UserId user, base::DeviceId device, base::Millis at, bool wins_ties) {
    for (auto& one : shards_) {
        auto* shard = one.get();
        if (shard->count.load(std::memory_order_relaxed) == 0) continue;
        asio::post(shard->context, [shard, user, device, at, wins_ties] {
            shard->yield_device(user, device, at, wins_ties);
        });
    }
}

void Hub::hold(Session& session, const std::vector<LogSource::Head>& chats, std::uint64_t w) {
    here().hold(session, chats, w);
}

void Hub::go_live(const std::shared_ptr<Session>& session) {
    here().go_live(session);
}

bool Hub::subscribed(Session& session, base::ChatId chat) {
    return here().subscribed(session, chat);
}

void Hub::detach(Session& session) {
    here().detach(session);
}

}  // namespace supd::ws
