// The log as the test wants it: entries of transactions that begin and commit when the test says so, and
// answers to the hub that the test may hold back. One thread turns it and the hub.
#pragma once

#include <supd/base/error.hpp>
#include <supd/ws/hub.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace supd::ws::testing_ {

using base::ChatId;
using base::SessionId;
using base::UserId;

struct Change {
    std::uint64_t skip = 0;
    std::vector<UserId> joined, left;
};
inline Change sent_by(std::uint64_t socket) {
    return {socket, {}, {}};
}
inline Change joins(std::vector<UserId> users) {
    return {0, std::move(users), {}};
}
inline Change leaves(std::vector<UserId> users) {
    return {0, {}, std::move(users)};
}

class FakeLog final : public LogSource {
public:
    struct Entry {
        ChatEvent event;
        std::uint64_t xid;
    };
    struct Interval {
        std::int64_t from;
        std::int64_t to = INT64_MAX;  ///< the entry that ended it, which the member still gets
        std::uint64_t xid = 0;        ///< of the latest change
    };
    struct Transaction {
        ChatId chat;
        std::uint64_t xid;
    };

    // -- the truth

    /// A chat has at most one at a time: its lock.
    Transaction begin(ChatId chat) {
        open_.insert(next_xid_);
        return {chat, next_xid_++};
    }
    ChatEvent commit(const Transaction& transaction, const Change& change = {}) {
        open_.erase(transaction.xid);
        auto& entries = chats_[transaction.chat];
        ChatEvent event;
        event.chat = transaction.chat;
        event.seq = static_cast<std::int64_t>(entries.size()) + 1;
        event.skip = change.skip;
        event.joined = change.joined;
        event.left = change.left;
        event.frame = make_frame(R"({"type":"message","chat_id":")" + event.chat.text() + R"(","seq":)" +
                                 std::to_string(event.seq) + "}");
        for (const auto& user : change.joined)
            members_[{user, event.chat}].push_back({event.seq, INT64_MAX, transaction.xid});
        for (const auto& user : change.left) {
            auto& last = members_.at({user, event.chat}).back();
            last.to = event.seq;
            last.xid = transaction.xid;
        }
        entries.push_back({event, transaction.xid});
        return event;
    }
    ChatEvent append(ChatId chat, const Change& change = {}) { return commit(begin(chat), change); }
    std::vector<ChatEvent> append_some(ChatId chat, int count) {
        std::vector<ChatEvent> out;
        for (int i = 0; i < count; ++i)
            out.push_back(append(chat));
        return out;
    }

    /// A mark in the chat, told to nobody.
    MarkHead mark(ChatId chat) {
        auto& head = marks_[MarkOwner{chat.bytes}];
        head = {head.first + 1, next_xid_++};
        return {MarkOwner{chat.bytes}, head.first};
    }

    std::uint64_t w() const { return open_.empty() ? next_xid_ : *open_.begin(); }
    const std::vector<Entry>& entries(ChatId chat) { return chats_[chat]; }
    const std::vector<Interval>& intervals(UserId user, ChatId chat) const {
        static const std::vector<Interval> kNone;
        const auto at = members_.find({user, chat});
        return at == members_.end() ? kNone : at->second;
    }
    bool is_member(UserId user, ChatId chat) const {
        const auto& all = intervals(user, chat);
        return !all.empty() && all.back().to == INT64_MAX;
    }
    std::vector<Head> heads_of(UserId user) const {
        std::vector<Head> out;
        for (const auto& [chat, entries] : chats_)
            if (is_member(user, chat)) out.push_back({chat, static_cast<std::int64_t>(entries.size())});
        return out;
    }

    // -- what the hub asks

    template <class Answer>
    struct Ask {
        ChatId chat;
        std::int64_t after = 0;
        std::uint64_t since = 0;
        std::vector<ChatId> chats;
        std::vector<UserId> users;
        std::optional<Answer> answer;  ///< of the snapshot at which the test had it looked up
        std::exception_ptr failure;
        std::function<void()> resume;
    };
    using SweepAsk = Ask<Sweep>;
    using ReadAsk = Ask<Page>;
    std::size_t page = 500;  ///< entries

    bool hold_reads = false;
    std::exception_ptr marks_failure;
    int reads_asked = 0, sweeps_asked = 0, marks_asked = 0;
    std::deque<std::shared_ptr<SweepAsk>> sweeps;  ///< always wait for the test
    std::deque<std::shared_ptr<ReadAsk>> reads;

    asio::awaitable<Page> read(ChatId chat, std::int64_t after) override {
        if (ended_) throw base::unavailable();
        ++reads_asked;
        auto ask = std::make_shared<ReadAsk>();
        ask->chat = chat;
        ask->after = after;
        if (hold_reads) {
            reads.push_back(ask);
            co_await wait(&ask->resume);
        }
        co_return finish(*ask);
    }
    asio::awaitable<std::vector<std::vector<std::string>>> marks(std::vector<MarksOf> users) override {
        ++marks_asked;
        if (marks_failure) std::rethrow_exception(marks_failure);
        std::vector<std::vector<std::string>> out;
        for (const auto& one : users)
            out.push_back({R"({"type":"read_receipt","data":{"user_id":")" + one.user.text() + R"(","seq":)" +
                           std::to_string(one.since_w) + "}}"});
        co_return out;
    }
    asio::awaitable<std::vector<Mark>> marks_of(std::vector<MarkOwner> owners,
                                                std::uint64_t /*since*/) override {
        ++marks_asked;
        if (marks_failure) std::rethrow_exception(marks_failure);
        std::vector<Mark> out;
        for (const auto& owner : owners)
            out.push_back({ChatId{owner.bytes}, {}, make_frame(R"({"type":"read_receipt"})")});
        co_return out;
    }
    asio::awaitable<Sweep> sweep(std::uint64_t since, std::vector<ChatId> chats,
                                 std::vector<UserId> users) override {
        if (ended_) throw base::unavailable();
        ++sweeps_asked;
        auto ask = std::make_shared<SweepAsk>();
        ask->since = since;
        ask->chats = std::move(chats);
        ask->users = std::move(users);
        sweeps.push_back(ask);
        co_await wait(&ask->resume);
        co_return finish(*ask);
    }

    /// Takes the snapshot of the first held question; its answer may come later.
    template <class Asks>
    void look(Asks& asks) {
        if (!asks.front()->answer) asks.front()->answer = find(*asks.front());
    }
    template <class Asks>
    void answer(Asks& asks) {
        look(asks);
        release(asks, nullptr);
    }
    template <class Asks>
    void fail(Asks& asks, std::exception_ptr why = std::make_exception_ptr(base::unavailable())) {
        release(asks, std::move(why));
    }
    /// Answers nothing any more.
    void end() {
        ended_ = true;
        while (!sweeps.empty())
            fail(sweeps);
        while (!reads.empty())
            fail(reads);
    }

private:
    static asio::awaitable<void> wait(std::function<void()>* resume) {
        auto executor = co_await asio::this_coro::executor;
        auto start = [resume, executor](auto handler) {
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            *resume = [shared, executor] { asio::post(executor, std::move(*shared)); };
        };
        co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
    }
    template <class Asks>
    void release(Asks& asks, std::exception_ptr failure) {
        const auto ask = asks.front();
        asks.pop_front();
        ask->failure = std::move(failure);
        ask->resume();
    }
    template <class Answer>
    Answer finish(Ask<Answer>& ask) {
        if (ask.failure) std::rethrow_exception(ask.failure);
        if (!ask.answer) ask.answer = find(ask);
        return std::move(*ask.answer);
    }

    Page find(const ReadAsk& ask) {
        Page out;
        for (const auto& entry : chats_[ask.chat]) {
            if (entry.event.seq <= ask.after) continue;
            out.more = out.events.size() == page;
            if (out.more) break;
            out.events.push_back(entry.event);
            out.events.back().skip = 0;  // the log does not know which socket it was
        }
        return out;
    }
    Sweep find(const SweepAsk& ask) {
        Sweep out;
        out.w = w();
        out.cursor = std::to_string(out.w);
        for (const auto& chat : ask.chats)
            if (const auto& all = chats_[chat]; !all.empty() && all.back().xid >= ask.since)
                out.heads.push_back({chat, static_cast<std::int64_t>(all.size())});
        if (ask.since == 0) return out;  // as the reader: every old membership would look new
        for (const auto& chat : ask.chats)
            if (const auto at = marks_.find(MarkOwner{chat.bytes});
                at != marks_.end() && at->second.second >= ask.since)
                out.marks.push_back({at->first, at->second.first});
        for (const auto& user : ask.users)
            for (const auto& [key, intervals] : members_)
                if (key.first == user && intervals.back().to == INT64_MAX &&
                    intervals.back().xid >= ask.since)
                    out.joined.push_back({user, key.second, intervals.back().from});
        return out;
    }

    std::atomic<bool> ended_{false};
    std::uint64_t next_xid_ = 100;
    std::set<std::uint64_t> open_;
    std::map<ChatId, std::vector<Entry>> chats_;
    std::map<std::pair<UserId, ChatId>, std::vector<Interval>> members_;
    std::map<MarkOwner, std::pair<std::int64_t, std::uint64_t>> marks_;  // version, and of which transaction
};

}  // namespace supd::ws::testing_
