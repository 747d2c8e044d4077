// One io thread's part of the hub. All members are touched by that thread only.
#pragma once

#include <supd/async/task_group.hpp>
#include <supd/ws/hub.hpp>
#include <supd/ws/session.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace supd::ws {

class Hub::Shard {
public:
    Shard(asio::io_context& context, LogSource& log);

    void start();
    void stop();

    void attach(const std::shared_ptr<Session>& session);
    void go_live(const std::shared_ptr<Session>& session, const std::vector<LogSource::Head>& chats,
                 std::uint64_t w);
    void detach(Session& session);

    void on_events(const std::vector<ChatEvent>& events);
    void to_chat(base::ChatId chat, const FramePtr& frame, base::UserId except);
    void to_users(const std::vector<base::UserId>& users, const FramePtr& frame, base::SessionId except);
    void close_session(base::SessionId session, CloseCode code, const std::string& reason);
    void replace_device(base::UserId user, base::DeviceId device, std::uint64_t keep);
    bool subscribed(const Session& session, base::ChatId chat) const;

    asio::io_context& context;
    std::atomic<std::size_t> count{0};

private:
    struct Subscriber {
        Session* session;
        std::int64_t after;  // it has everything up to here already
    };
    struct Channel {
        std::int64_t last_seq = 0;
        std::vector<Subscriber> subscribers;
        std::map<std::int64_t, ChatEvent> waiting;  // arrived before what comes before them
        bool reading = false;
    };

    void on_event(const ChatEvent& event);
    void deliver(Channel& channel, const ChatEvent& event);
    void drain_waiting(base::ChatId chat);
    Channel& subscribe(Session& session, base::ChatId chat, std::int64_t after);
    void unsubscribe(Session& session, base::ChatId chat);
    void drop_subscriber(base::ChatId chat, Session& session);
    void watch_gaps();
    void read_gap(base::ChatId chat);
    asio::awaitable<void> fill(base::ChatId chat);
    asio::awaitable<void> fill_now(base::ChatId chat, std::int64_t upto);
    Subscriber* subscription(Session& session, base::ChatId chat);
    bool give_missed(Session& session, const ChatEvent& event);
    template <class Picks>
    void close_those(Picks picks, CloseCode code, const std::string& reason);
    bool adopt_join(const LogSource::Joined& join);
    asio::awaitable<void> sweep_loop();
    asio::awaitable<void> sweep();
    void send_cursors(const std::string& cursor, std::uint64_t w);

    LogSource& log_;
    std::unordered_map<base::UserId, std::vector<Session*>> users_;
    std::unordered_map<base::ChatId, Channel> channels_;
    std::vector<base::ChatId> gapped_;
    asio::steady_timer gap_timer_;
    bool gap_timer_set_ = false;
    asio::steady_timer sweep_timer_;
    bool stopping_ = false;
    std::uint64_t swept_w_ = 0;

    // Events that came while a session was catching up, which it may have to be given when it goes live.
    std::vector<ChatEvent> recent_;
    std::size_t held_ = 0;
    bool recent_overflow_ = false;

    async::TaskGroup tasks_{"hub"};
};

}  // namespace supd::ws
