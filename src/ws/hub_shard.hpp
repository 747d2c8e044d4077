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
#include <unordered_set>
#include <vector>

namespace supd::ws {

class Hub::Shard {
public:
    Shard(asio::io_context& context, LogSource& log, HubOptions options);

    void start();
    void stop();

    void attach(const std::shared_ptr<Session>& session);
    void hold(Session& session, const std::vector<LogSource::Head>& chats, std::uint64_t w);
    void go_live(const std::shared_ptr<Session>& session);
    void detach(Session& session);

    void on_events(const std::vector<ChatEvent>& events);
    void to_chat(base::ChatId chat, const FramePtr& frame, base::UserId except);
    void on_marks(const LogSource::MarkHead& head, const std::vector<Mark>& marks);
    void latest_to(const std::vector<Recipient>& recipients, base::UserId about, const FramePtr& frame);
    void close_session(base::SessionId session, CloseCode code, const std::string& reason);
    void replace_device(base::UserId user, base::DeviceId device, std::uint64_t keep);
    void yield_device(base::UserId user, base::DeviceId device, base::Millis at, bool wins_ties);
    bool subscribed(Session& session, base::ChatId chat);

    asio::io_context& context;
    std::atomic<std::size_t> count{0};
    Relay* relay = nullptr;  // set before start()

private:
    struct Subscriber {
        Session* session;
        std::int64_t after;   // it has everything up to here already
        bool owed = false;    // what is behind `after` is being read for it
        bool parted = false;  // no longer a member, but not yet told of it
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
    void note_joins(const ChatEvent& event);
    void note_leaves(const ChatEvent& event);
    Subscriber* subscription(Session& session, base::ChatId chat);
    bool snapshots() const noexcept { return older_.readers + newer_.readers > 0; }
    void end_snapshot(Session& session);
    void owe(Session& session, std::vector<base::ChatId> chats);
    asio::awaitable<void> repay(std::shared_ptr<Session> session, std::vector<base::ChatId> chats,
                                std::uint64_t attachment);
    asio::awaitable<bool> repay_chat(Session& session, base::ChatId chat, std::uint64_t attachment);
    template <class Picks>
    void close_those(Picks picks, CloseCode code, const std::string& reason);
    void adopt_join(const LogSource::Joined& join);
    asio::awaitable<void> sweep_loop();
    asio::awaitable<void> sweep();
    void tell(const Mark& mark);
    std::int64_t* marks_told(MarkOwner owner);
    asio::awaitable<void> tell_moved_marks(std::vector<LogSource::MarkHead> heads, std::uint64_t since);
    asio::awaitable<void> send_missed_marks();
    void send_cursors(const std::string& cursor, std::uint64_t w);

    LogSource& log_;
    const HubOptions options_;
    std::unordered_map<base::UserId, std::vector<Session*>> users_;
    std::unordered_map<base::ChatId, Channel> channels_;
    std::unordered_map<MarkOwner, std::int64_t> marks_told_;  // of chats and users here: the last version
    std::vector<base::ChatId> gapped_;
    asio::steady_timer gap_timer_;
    bool gap_timer_set_ = false;
    asio::steady_timer sweep_timer_;
    bool stopping_ = false;
    std::uint64_t sweep_ = 0;          // how many have begun
    std::uint64_t swept_w_ = 0;        // the next one looks back to here
    std::uint64_t oldest_joiner_ = 0;  // of the snapshots of sessions that went live during this one

    // Chats in which a subscription began by a hint or an adopted join: the next complete sweep reads them
    // on, because what came between the join and here may have been told to nobody.
    std::vector<base::ChatId> joined_chats_;

    // While sessions read their snapshots: which chats moved that they may turn out to be in, and how far.
    // In two generations, so that it is forgotten also when there is always somebody who reads: those who
    // come now are counted in the newer one, which becomes the older one when nobody is left in that.
    struct Moved {
        std::size_t readers = 0;
        std::unordered_map<base::ChatId, std::int64_t> heads;
        std::unordered_set<base::ChatId> marks;
    };
    Moved older_, newer_;
    std::uint64_t generation_ = 0;  // of newer_

    async::TaskGroup tasks_{"hub"};
};

}  // namespace supd::ws
