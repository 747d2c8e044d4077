#include "appender.hpp"
#include "backlog.hpp"
#include "chat_lanes.hpp"
#include "draft.hpp"
#include "mailbox.hpp"

#include <supd/async/task_group.hpp>
#include <supd/base/log.hpp>
#include <supd/chatlog/writer.hpp>
#include <supd/db/async_connection.hpp>
#include <supd/trace/carrier.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <typeinfo>
#include <unordered_set>

namespace supd::chatlog {
namespace {

constexpr std::chrono::milliseconds kStatementTimeout{5000};
// How long a message may wait for a database that went away; the same id makes it safe to try again.
constexpr std::chrono::seconds kGiveUp{10};
constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};
constexpr int kBatchAttempts = 3;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

}  // namespace

// One database connection and the queue before it. Lives on one io thread; other threads post to it.
class Writer::Lane {
public:
    Lane(async::IoThreads& threads, std::size_t home, ws::Hub& hub, ChatLanes& chats,
         std::shared_ptr<Pace> pace, const std::string& url, std::size_t index)
        : threads_(threads),
          chats_(chats),
          context_(threads.context(home)),
          home_(home),
          hub_(hub),
          backlog_(std::move(pace)),
          connection_(context_, url, kStatementTimeout, "supd-writer-" + std::to_string(index)),
          wake_(context_) {
        wake_.expires_at(asio::steady_timer::time_point::max());
    }

    void start() { tasks_.spawn(context_.get_executor(), run()); }

    void stop() {
        asio::post(context_, [this] {
            stopping_ = true;
            wake_.cancel();
        });
        tasks_.wait();
    }

    void submit(Pending pending) {
        if (!backlog_.enter(weight(pending.draft), pending.queued)) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            chats_.leave(pending.draft.chat);
            end_span(std::move(pending.span), Outcome::overloaded, 0);
            // Never from within submit: a coroutine that waits for the answer has not been suspended yet.
            asio::post(threads_.context(pending.thread),
                       [done = std::move(pending.done)] { done(Receipt{Outcome::overloaded}); });
            return;
        }
        if (async::IoThreads::current() == home_)
            push(std::move(pending));
        else if (mailbox_.put(std::move(pending)))
            asio::post(context_, [this] {
                for (auto& each : mailbox_.take())
                    push(std::move(each));
            });
    }

    const Backlog& backlog() const noexcept { return backlog_; }
    std::uint64_t failures() const noexcept { return failures_.load(std::memory_order_relaxed); }
    std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

    std::function<void(const CommitStats&)> observe;

private:
    void note_first() noexcept {
        const auto* first = !batch_.empty() ? &batch_.front() : !queue_.empty() ? &queue_.front() : nullptr;
        backlog_.note_first(first ? first->queued : Backlog::kIdle);
    }

    void push(Pending pending) {
        queue_.push_back(std::move(pending));
        if (idle_) {
            idle_ = false;
            wake_.cancel();
        }
    }

    asio::awaitable<void> run() {
        for (bool goes_on = true; goes_on;) {
            try {
                goes_on = co_await step();
            } catch (const std::exception& error) {
                // The lane must outlive whatever this was. Whether the batch was committed is unknown.
                base::log::error("writer_failed", {{"kind", typeid(error).name()}});
                connection_.close();
                again();
            }
        }
        connection_.close();
    }

    // False: nothing is left and nothing will come.
    asio::awaitable<bool> step() {
        note_first();
        if (queue_.empty() && batch_.empty()) {
            if (stopping_) co_return false;
            idle_ = true;
            backlog_.mark_idle();
            wake_.expires_at(asio::steady_timer::time_point::max());
            co_await wake_.async_wait(kTuple);
            co_return true;
        }
        backlog_.mark_busy(base::Monotonic::now());
        if (!connection_.is_open()) {
            // At once after a loss, then slower and slower until a commit succeeds: a server that answers may
            // still take no writes.
            if (pause_.count() > 0) {
                asio::steady_timer timer(context_, pause_);
                co_await timer.async_wait(kTuple);
            }
            pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
            const bool opened = co_await connection_.open();
            if (!opened) {
                failures_.fetch_add(1, std::memory_order_relaxed);
                give_up_on_old();
                co_return true;
            }
        }
        if (batch_.empty()) take_batch();
        co_await commit();
        co_return true;
    }

    void take_batch() {
        std::size_t bytes = 0;
        std::size_t rows = kMaxBatchRows;
        if (solo_left_ > 0) {
            rows = 1;
            --solo_left_;
        }
        seen_.clear();
        while (!queue_.empty() && batch_.size() < rows && bytes < kMaxBatchBytes) {
            // A statement sees what was there before it. An id twice would break its unique index, and a
            // reply to what the batch itself brings would find nothing: both wait for the first's answer.
            const auto& draft = queue_.front().draft;
            if (draft.reply_to && seen_.contains(*draft.reply_to)) break;
            if (!seen_.insert(draft.id).second) break;
            bytes += weight(draft);
            batch_.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        attempts_ = 0;
    }

    asio::awaitable<void> commit() {
        const auto started = base::Monotonic::now();
        drafts_.clear();
        for (const auto& pending : batch_)
            drafts_.push_back(&pending.draft);
        auto result = co_await appender_.append(drafts_, attempts_ > 0);
        if (!result.lost) pause_ = {};
        if (result.receipts) {
            const auto took = base::Monotonic::now() - started;
            backlog_.note_commit(took);
            CommitStats stats;
            stats.rows = batch_.size();
            stats.commit_s = std::chrono::duration<double>(took).count();
            finish(std::move(*result.receipts));
            stats.delivery_s = waits_;
            if (observe) observe(stats);
            co_return;
        }
        // Lost: unknown whether it was committed, but the ids make the same batch safe to send again.
        // Refused: a race for an id with another process, a deadlock or a timeout; the second look sees what
        // the first could not.
        again(result.lost);
    }

    void again(bool lost = false) {
        ++attempts_;
        failures_.fetch_add(1, std::memory_order_relaxed);
        give_up_on_old();
        if (lost || batch_.empty() || attempts_ < kBatchAttempts) return;
        if (batch_.size() == 1) return answer_all(Outcome::unknown);
        // One row that PostgreSQL cannot take must not fail the others: each goes alone.
        solo_left_ = batch_.size();
        while (!batch_.empty()) {
            queue_.push_front(std::move(batch_.back()));
            batch_.pop_back();
        }
    }

    void finish(std::vector<Receipt> receipts) {
        backlog_.mark_idle();
        std::vector<ws::ChatEvent> events;
        events.reserve(batch_.size());
        waits_.clear();
        const auto now = base::Monotonic::now();
        for (std::size_t i = 0; i < batch_.size(); ++i) {
            // A repeat after a lost connection may be the first that the hub hears of it; the hub drops what
            // it knows.
            const bool news = receipts[i].outcome == Outcome::stored ||
                              (receipts[i].outcome == Outcome::repeated && attempts_ > 0);
            if (!news) continue;
            events.push_back(event_of(batch_[i].draft, receipts[i]));
            waits_.push_back(std::chrono::duration<double>(now - batch_[i].queued).count());
        }
        // Within a chat rows were numbered in batch order, but the hub takes them in any order.
        if (!events.empty()) hub_.publish(std::move(events));
        answer(std::move(receipts));
    }

    void answer_all(Outcome outcome) { answer(std::vector<Receipt>(batch_.size(), Receipt{outcome})); }

    void answer(std::vector<Receipt> receipts) {
        auto batch = std::exchange(batch_, {});
        std::size_t bytes = 0;
        for (const auto& pending : batch)
            bytes += weight(pending.draft);
        backlog_.leave(batch.size(), bytes);
        using Answers = std::vector<std::pair<std::function<void(const Receipt&)>, Receipt>>;
        std::vector<Answers> by_thread(threads_.size());
        for (std::size_t i = 0; i < batch.size(); ++i) {
            end_span(std::move(batch[i].span), receipts[i].outcome, batch.size());
            by_thread[batch[i].thread].emplace_back(std::move(batch[i].done), receipts[i]);
        }
        for (std::size_t i = 0; i < by_thread.size(); ++i) {
            if (by_thread[i].empty()) continue;
            asio::post(threads_.context(i), [answers = std::move(by_thread[i])] {
                for (const auto& [done, receipt] : answers)
                    done(receipt);
            });
        }
        // Last: the chat's next answer comes after this one, whichever lane gives it.
        for (const auto& pending : batch)
            chats_.leave(pending.draft.chat);
        batch.clear();
        batch_.swap(batch);  // keeps its memory
    }

    void give_up_on_old() {
        const auto now = base::Monotonic::now();
        if (!batch_.empty() && (stopping_ || now - batch_.front().queued > kGiveUp))
            answer_all(Outcome::unknown);
        while (batch_.empty() && !queue_.empty() && (stopping_ || now - queue_.front().queued > kGiveUp)) {
            batch_.push_back(std::move(queue_.front()));
            queue_.pop_front();
            refused_.fetch_add(1, std::memory_order_relaxed);
            answer_all(Outcome::overloaded);
        }
    }

    async::IoThreads& threads_;
    ChatLanes& chats_;
    asio::io_context& context_;
    std::size_t home_;
    ws::Hub& hub_;
    Backlog backlog_;
    db::AsyncConnection connection_;
    Appender appender_{connection_};
    asio::steady_timer wake_;
    bool idle_ = false;
    bool stopping_ = false;

    std::deque<Pending> queue_;
    std::vector<Pending> batch_;
    std::unordered_set<MessageId> seen_;
    int attempts_ = 0;
    std::chrono::milliseconds pause_{0};  // before the connection is opened again
    std::size_t solo_left_ = 0;
    std::atomic<std::uint64_t> failures_{0};
    std::atomic<std::uint64_t> refused_{0};

    Mailbox mailbox_;
    std::vector<const Draft*> drafts_;
    std::vector<double> waits_;  // see CommitStats

    async::TaskGroup tasks_{"writer"};
};

Writer::Writer(async::IoThreads& threads, ws::Hub& hub, Options options)
    : chats_(std::make_unique<ChatLanes>()) {
    const auto pace = std::make_shared<Pace>(options.lanes);
    for (std::size_t i = 0; i < options.lanes; ++i)
        lanes_.push_back(
            std::make_unique<Lane>(threads, i % threads.size(), hub, *chats_, pace, options.url, i));
}

Writer::~Writer() = default;

void Writer::start() {
    for (auto& lane : lanes_)
        lane->start();
}

void Writer::stop() {
    for (auto& lane : lanes_)
        lane->stop();
}

void Writer::submit(Draft draft, std::function<void(const Receipt&)> done, const trace::Context& parent) {
    Pending pending;
    pending.draft = std::move(draft);
    pending.done = std::move(done);
    pending.thread = async::IoThreads::current();
    pending.queued = base::Monotonic::now();
    pending.span = trace::child_of(parent, trace::Kind::client, "postgresql append_messages");
    const auto chat = pending.draft.chat;
    const auto lane = chats_->enter(chat, lane_for(pending.queued));
    try {
        lanes_[lane]->submit(std::move(pending));
    } catch (...) {
        chats_->leave(chat);
        throw;
    }
}

// Two connections that commit at once wait for each other's log and take a core each, where one would have
// taken both batches in one: the next is used when those before it do not keep up.
std::size_t Writer::lane_for(base::Monotonic::time_point now) const noexcept {
    const auto at =
        std::ranges::find_if(lanes_, [now](const auto& lane) { return lane->backlog().keeps_up(now); });
    const auto shortest = [&] {
        return std::ranges::min_element(lanes_, {}, [now](const auto& lane) {
            return std::pair(lane->backlog().is_behind(now), lane->backlog().rows());
        });
    };
    return static_cast<std::size_t>((at != lanes_.end() ? at : shortest()) - lanes_.begin());
}

asio::awaitable<Receipt> Writer::append(Draft draft) {
    Receipt out;
    const auto parent = trace::carried(co_await asio::this_coro::executor);
    auto start = [&](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        auto done = [&out, shared](const Receipt& receipt) {
            out = receipt;
            std::move (*shared)();
        };
        submit(std::move(draft), std::move(done), parent);
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
    co_return out;
}

std::size_t Writer::queued() const noexcept {
    std::size_t sum = 0;
    for (const auto& lane : lanes_)
        sum += lane->backlog().rows();
    return sum;
}

std::uint64_t Writer::failures() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& lane : lanes_)
        sum += lane->failures();
    return sum;
}

std::uint64_t Writer::refused() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& lane : lanes_)
        sum += lane->refused();
    return sum;
}

void Writer::on_commit(const std::function<void(const CommitStats&)>& observe) {
    for (auto& lane : lanes_)
        lane->observe = observe;
}

}  // namespace supd::chatlog
