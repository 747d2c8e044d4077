#include "queue_state.hpp"
#include "store.hpp"

#include <supd/base/log.hpp>
#include <supd/jobs/queue.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace supd::jobs {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxWorker = 100;
constexpr milliseconds kFencedPause{1000};   // before another process is asked again whether it is done
constexpr milliseconds kStoreTrouble{1000};  ///< first pause after a failed look at the table

std::string default_worker() {
    char host[65] = {};
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '?';
    return (std::string(host) + ":" + std::to_string(getpid())).substr(0, kMaxWorker);
}

/// What one look at the table brought.
struct Look {
    std::vector<Job> jobs;
    std::vector<std::string> schedules;
    std::optional<milliseconds> next_due;
    std::optional<Depth> depth;
};

}  // namespace

std::string_view name_of(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::done:
            return "done";
        case Outcome::retried:
            return "retried";
        case Outcome::dead:
            return "dead";
        case Outcome::fenced:
            return "fenced";
        case Outcome::released:
            return "released";
    }
    return "unknown";
}

milliseconds backoff(int attempt, milliseconds base, milliseconds cap, double random) noexcept {
    const double ceiling =
        std::min(static_cast<double>(cap.count()),
                 std::ldexp(static_cast<double>(base.count()), std::clamp(attempt - 1, 0, 62)));
    return milliseconds(static_cast<std::int64_t>(ceiling * std::clamp(random, 0.0, 1.0)));
}

void enqueue(db::Transaction& tx, std::string_view kind, std::string_view payload,
             const EnqueueOptions& options) {
    if (kind.empty() || kind.size() > kMaxKind) throw std::invalid_argument("job kind");
    if (payload.size() > kMaxPayload) throw std::invalid_argument("job payload too large");
    if (options.unique_key.size() > kMaxUniqueKey) throw std::invalid_argument("job unique key too long");
    if (options.max_attempts < 1 || options.max_attempts > kMaxAttempts)
        throw std::invalid_argument("job attempts");
    store::insert(tx, kind, payload, options);
}

Queue::State::State(db::Database& database, Options wanted, Observer* watcher)
    : db(database), options(std::move(wanted)), observer(watcher), generator(std::random_device{}()) {
    if (options.worker.empty()) options.worker = default_worker();
    options.worker.resize(std::min(options.worker.size(), kMaxWorker));
}

double Queue::State::random() {
    if (options.random) return options.random();
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

std::vector<std::string> Queue::State::wanted_schedules(base::Monotonic::time_point now) {
    std::erase_if(fenced_schedules, [&](const auto& one) { return now - one.second >= kFencedPause; });
    std::vector<std::string> out;
    for (const auto& [name, schedule] : schedules)
        if (!running_schedules.contains(name) && !fenced_schedules.contains(name)) out.push_back(name);
    return out;
}

void Queue::State::nudge() {
    if (!started.load(std::memory_order_acquire) || nudged.exchange(true)) return;
    auto rouse = [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->wake->cancel();
    };
    asio::post(executor, std::move(rouse));
}

void Queue::State::slot_free() {
    if (more || looking) look_again();
    if (busy() == 0) idle->cancel();
}

void Queue::State::look_again() {
    nudged.store(true);
    wake->cancel();
}

Queue::Queue(db::Database& db, Options options, Observer* observer)
    : state_(std::make_shared<State>(db, std::move(options), observer)) {}

Queue::~Queue() = default;

void Queue::on(std::string kind, Handler handler) {
    state_->kinds.push_back(kind);
    state_->handlers.emplace(std::move(kind), std::move(handler));
}

void Queue::on_async(std::string kind, AsyncHandler handler) {
    state_->kinds.push_back(kind);
    state_->async_handlers.emplace(std::move(kind), std::move(handler));
}

void Queue::add_periodic(std::string name, milliseconds interval, Periodic fn) {
    state_->schedules.emplace(std::move(name), State::Schedule{interval, std::move(fn)});
}

void Queue::enqueue(db::Transaction& tx, std::string_view kind, std::string_view payload,
                    const EnqueueOptions& options) {
    jobs::enqueue(tx, kind, payload, options);
    tx.after_commit([weak = std::weak_ptr<State>(state_)] {
        if (const auto state = weak.lock()) state->nudge();
    });
}

void Queue::nudge() {
    state_->nudge();
}

Depth Queue::depth() const {
    const std::lock_guard lock(state_->depth_mutex);
    return state_->last_depth;
}

void Queue::start(asio::any_io_executor executor) {
    auto& state = *state_;
    if (state.started.load()) throw std::logic_error("a job queue starts once");
    state.executor = executor;
    state.wake = std::make_unique<asio::steady_timer>(executor);
    state.idle = std::make_unique<asio::steady_timer>(executor);
    state.started.store(true, std::memory_order_release);
    state.group.spawn(std::move(executor), State::work(state_));
}

asio::awaitable<void> Queue::State::work(std::shared_ptr<State> self) {
    int troubles = 0;
    bool scheduled = self->schedules.empty();
    while (!self->stopping) {
        self->nudged.store(false);
        const auto now = base::Monotonic::now();
        milliseconds pause{static_cast<std::int64_t>(static_cast<double>(self->options.idle_poll.count()) *
                                                     (1.0 + self->random() / 2))};
        self->looking = true;
        try {
            if (!scheduled) {
                auto ensure = [&self](db::Transaction& tx) {
                    for (const auto& [name, schedule] : self->schedules)
                        store::ensure_schedule(tx, name, schedule.interval);
                };
                co_await self->db.transact(std::move(ensure));
                scheduled = true;
            }
            if (now >= self->reclaim_due) {
                self->reclaim_due = now + self->options.idle_poll;
                auto reclaim = [](db::Transaction& tx) { return store::reclaim_one(tx); };
                while (co_await self->db.transact(reclaim)) {
                }
            }
            const auto free = self->options.concurrency - std::min(self->options.concurrency, self->busy());
            const bool count = now >= self->depth_due;
            const auto schedules = self->wanted_schedules(now);
            if (!self->fenced_schedules.empty()) pause = std::min(pause, kFencedPause);
            auto look_at = [&self, &schedules, free, count](db::Transaction& tx) {
                Look found;
                if (free > 0) {
                    found.jobs =
                        store::claim(tx, self->kinds, free, self->options.lease, self->options.worker);
                    found.schedules = store::due_schedules(tx, schedules);
                }
                found.next_due = store::next_due(tx, self->kinds, schedules);
                if (count) found.depth = store::depth(tx);
                return found;
            };
            const Look look = co_await self->db.transact(std::move(look_at));
            troubles = 0;
            self->more = look.jobs.size() == free;
            if (look.depth) {
                self->depth_due = now + kDepthEvery;
                {
                    const std::lock_guard lock(self->depth_mutex);
                    self->last_depth = *look.depth;
                }
                if (self->observer) self->observer->depth(*look.depth);
            }
            for (const auto& job : look.jobs) {
                self->held.emplace(job.fence, job);
                self->start_job(job);
            }
            for (const auto& name : look.schedules)
                if (self->running_schedules.insert(name).second) self->start_schedule(name);
            if (look.next_due) pause = std::min(pause, *look.next_due + milliseconds(1));
        } catch (const db::ConstraintViolation&) {
            // Somebody asked for the same key while a lost job was being returned: it is looked at again next
            // time.
            pause = kStoreTrouble;
        } catch (const std::exception& error) {
            if (self->stopping) co_return;
            if (troubles++ == 0) base::log::warn("job_table_unreadable", {{"code", code_of(error)}});
            pause = std::max(kStoreTrouble,
                             backoff(troubles, kStoreTrouble, self->options.idle_poll, self->random()));
        }
        self->looking = false;
        if (self->stopping || (self->nudged.load() && troubles == 0)) continue;
        self->wake->expires_after(pause);
        co_await self->wake->async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

asio::awaitable<void> Queue::State::close(std::shared_ptr<State> self, milliseconds grace) {
    self->stopping = true;
    self->more = false;
    self->wake->cancel();
    if (self->busy() > 0) {
        self->idle->expires_after(grace);
        co_await self->idle->async_wait(asio::as_tuple(asio::use_awaitable));
    }
    // Ends handlers that wait; SQL under way is waited for, its statements have their own timeout.
    self->group.cancel();
    auto quiet = std::make_shared<asio::steady_timer>(self->executor, base::Monotonic::time_point::max());
    self->group.when_idle([executor = self->executor, quiet] {
        asio::post(executor, [quiet] { quiet->expires_at(base::Monotonic::time_point::min()); });
    });
    co_await quiet->async_wait(asio::as_tuple(asio::use_awaitable));
    if (self->held.empty()) co_return;
    auto give_back = [&self](db::Transaction& tx) {
        for (const auto& [fence, job] : self->held)
            store::release(tx, job);
    };
    try {
        co_await self->db.transact(std::move(give_back));
    } catch (const std::exception& error) {
        base::log::warn("job_leases_left_to_expire",
                        {{"count", self->held.size()}, {"code", code_of(error)}});
    }
    for (const auto& [fence, job] : self->held)
        if (self->observer) self->observer->job_ended(job.kind, Outcome::released, std::chrono::seconds(0));
    self->held.clear();
}

asio::awaitable<void> Queue::stop(milliseconds grace) {
    const auto self = state_;
    if (!self->started.load()) co_return;
    const auto here = co_await asio::this_coro::executor;
    auto done = std::make_shared<asio::steady_timer>(here, base::Monotonic::time_point::max());
    self->closing.spawn(self->executor, State::close(self, grace));
    self->closing.when_idle(
        [here, done] { asio::post(here, [done] { done->expires_at(base::Monotonic::time_point::min()); }); });
    co_await done->async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace supd::jobs
