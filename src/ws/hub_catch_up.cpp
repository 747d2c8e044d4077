// How a session comes up to date without anybody waiting for it: attach -> hold -> go_live.
#include "hub_shard.hpp"
#include "shard.hpp"

#include <supd/base/error.hpp>
#include <supd/base/log.hpp>

#include <algorithm>
#include <typeinfo>

namespace supd::ws {

void Hub::Shard::hold(Session& session, const std::vector<LogSource::Head>& chats, std::uint64_t w) {
    if (!session.hub.attached || session.hub.held || session.hub.live) return;
    session.hub.held = true;
    session.hub.cursor_w = w;
    // The next sweep must look back to the oldest snapshot that a session stands on.
    if (swept_w_ == 0 || w < swept_w_) swept_w_ = w;
    oldest_joiner_ = std::min(oldest_joiner_, w);
    for (const auto& head : chats) {
        const auto& channel = subscribe(session, head.chat, head.last_seq);
        for (const auto* moved : {&older_, &newer_}) {
            session.hub.marks_missed |= moved->marks.contains(head.chat);
            const auto told = moved->heads.find(head.chat);
            if (told != moved->heads.end() && told->second > channel.last_seq) read_gap(head.chat);
        }
    }
    for (const auto& [chat, after] : session.hub.joins)
        subscribe(session, chat, after);
    for (const auto& [chat, after] : std::exchange(session.hub.joins, {}))
        read_gap(chat);
    end_snapshot(session);
}

void Hub::Shard::end_snapshot(Session& session) {
    session.hub.joins = {};
    --(session.hub.generation == generation_ ? newer_ : older_).readers;
    if (older_.readers > 0) return;
    older_ = std::exchange(newer_, {});
    ++generation_;
    if (older_.readers == 0) older_ = {};
}

void Hub::Shard::go_live(const std::shared_ptr<Session>& session) {
    if (!session->hub.held) return;
    session->hub.held = false;
    session->hub.live = true;
    session->hub.news = true;
    session->hub.subscribed_in = sweep_;
    std::vector<base::ChatId> owed;
    for (const auto& chat : session->hub.chats)
        if (channels_.at(chat).last_seq > subscription(*session, chat)->after) owed.push_back(chat);
    if (!owed.empty()) owe(*session, std::move(owed));
}

void Hub::Shard::owe(Session& session, std::vector<base::ChatId> chats) {
    for (const auto& chat : chats)
        subscription(session, chat)->owed = true;
    session.hub.owed += chats.size();
    tasks_.spawn(context.get_executor(),
                 repay(session.shared_from_this(), std::move(chats), session.hub.attachment));
}

// What the others got while this session was held. Closing it in case of doubt is safe: its client resumes
// from the cursor that it was given before.
asio::awaitable<void> Hub::Shard::repay(std::shared_ptr<Session> session, std::vector<base::ChatId> chats,
                                        std::uint64_t attachment) {
    try {
        for (const auto& chat : chats) {
            const bool goes_on = co_await repay_chat(*session, chat, attachment);
            if (!goes_on) co_return;
            session->hub.subscribed_in = sweep_;
            session->hub.news = true;
            --session->hub.owed;
        }
        co_return;
    } catch (const base::Error&) {
        // the database is away
    } catch (const std::exception& error) {
        base::log::error("catch_up_failed", {{"kind", typeid(error).name()}});
    }
    session->close(CloseCode::restart, retry_hint(kRetrySpreadMs));
}

// False: the session has ended or was attached anew.
asio::awaitable<bool> Hub::Shard::repay_chat(Session& session, base::ChatId chat, std::uint64_t attachment) {
    const auto names_me = [&](const std::vector<base::UserId>& users) {
        return std::ranges::find(users, session.caller().user) != users.end();
    };
    bool member = true;
    for (;;) {
        if (!session.open() || session.hub.attachment != attachment) co_return false;
        auto* mine = subscription(session, chat);
        if (!mine) co_return true;
        if (mine->after >= channels_.at(chat).last_seq) {
            mine->owed = false;
            if (!member) unsubscribe(session, chat);
            co_return true;
        }
        const auto page = co_await log_.read(chat, mine->after);
        if (page.events.empty()) {
            // The channel is ahead of the log, as after a restore: nothing would ever pay this.
            session.close(CloseCode::restart, retry_hint(kRetrySpreadMs));
            co_return false;
        }
        for (const auto& event : page.events) {
            const bool takes = co_await session.room();
            if (!takes || session.hub.attachment != attachment) co_return false;
            mine = subscription(session, chat);
            if (!mine) co_return true;
            mine->after = event.seq;
            member = member || names_me(event.joined);
            const bool own = session.take_own(chat, event.seq);
            if (member && !own) session.send(event.frame);
            if (names_me(event.left)) member = false;
        }
    }
}

Hub::Shard::Subscriber* Hub::Shard::subscription(Session& session, base::ChatId chat) {
    auto at = channels_.find(chat);
    if (at == channels_.end()) return nullptr;
    for (auto& subscriber : at->second.subscribers)
        if (subscriber.session == &session) return &subscriber;
    return nullptr;
}

}  // namespace supd::ws
