#include "queue_state.hpp"
#include "store.hpp"

#include <supd/base/log.hpp>
#include <supd/trace/carrier.hpp>
#include <supd/trace/tracer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cctype>
#include <new>

namespace supd::jobs {
namespace {

constexpr std::size_t kMaxCode = 64;
/// Renewals within one lease: two may fail before it is lost.
constexpr int kRenewalsPerLease = 3;

std::string sane_code(const std::string& code) {
    std::string out = code.substr(0, kMaxCode);
    for (char& c : out)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.') c = '_';
    return out.empty() ? "unknown" : out;
}

}  // namespace

std::string code_of(const std::exception& error) {
    if (const auto* refusal = dynamic_cast<const base::Error*>(&error)) return sane_code(refusal->code());
    if (const auto* permanent = dynamic_cast<const Permanent*>(&error)) return sane_code(permanent->code);
    if (dynamic_cast<const db::ConstraintViolation*>(&error)) return "constraint_violation";
    if (dynamic_cast<const std::bad_alloc*>(&error)) return "out_of_memory";
    return "exception";
}

void Queue::State::ended(const Job& job, Outcome outcome, base::Monotonic::time_point began) {
    held.erase(job.fence);
    if (observer) observer->job_ended(job.kind, outcome, base::Monotonic::now() - began);
    slot_free();
}

trace::Span Queue::State::begin_span(std::string_view kind) const {
    if (!options.tracer) return {};
    auto span = options.tracer->begin(trace::Kind::consumer, "process " + std::string(kind));
    span.set("messaging.system", "supd");
    span.set("messaging.operation.type", "process");
    span.set("messaging.destination.name", kind);
    return span;
}

void Queue::State::start_job(const Job& job) {
    auto span = begin_span(job.kind);
    auto traced = trace::carry(executor, span.context());
    group.spawn(std::move(traced), run_job(shared_from_this(), job, std::move(span)));
}

void Queue::State::start_schedule(const std::string& name) {
    auto span = begin_span(name);
    auto traced = trace::carry(executor, span.context());
    group.spawn(std::move(traced), run_schedule(shared_from_this(), name, std::move(span)));
}

asio::awaitable<void> Queue::State::run_job(std::shared_ptr<State> self, Job job, trace::Span span) {
    const auto began = base::Monotonic::now();
    Outcome outcome = Outcome::fenced;
    try {
        if (const auto sync = self->handlers.find(job.kind); sync != self->handlers.end())
            outcome = co_await self->run_in_transaction(job, &sync->second);
        else
            outcome = co_await self->run_async(job, &self->async_handlers.at(job.kind));
    } catch (const base::Error& error) {
        // The outcome could not be written. The lease runs out and somebody takes the job over.
        base::log::warn("job_left_to_its_lease",
                        {{"job_id", job.id}, {"kind", job.kind}, {"code", error.code()}});
    } catch (const db::ConstraintViolation&) {
        base::log::info("job_left_to_its_lease",
                        {{"job_id", job.id}, {"kind", job.kind}, {"code", "its_key_waits_anew"}});
    } catch (const boost::system::system_error&) {
        throw;  // cancelled: close() releases what is held
    } catch (const std::exception& error) {
        base::log::error("job_left_to_its_lease",
                         {{"job_id", job.id}, {"kind", job.kind}, {"code", code_of(error)}});
    }
    if (outcome != Outcome::done) span.fail(name_of(outcome));
    self->ended(job, outcome, began);
}

asio::awaitable<Outcome> Queue::State::run_in_transaction(Job job, const Handler* handler) {
    std::optional<Failure> failure;
    try {
        auto act = [&job, handler](db::Transaction& tx) {
            if (!store::hold(tx, job)) return false;
            (*handler)(tx, job);
            return store::complete(tx, job);
        };
        const bool done = co_await db.transact(std::move(act));
        co_return done ? Outcome::done : Outcome::fenced;
    } catch (const Permanent& error) {
        failure = Failure{code_of(error), true};
    } catch (const std::exception& error) {
        failure = Failure{code_of(error), false};
    }
    co_return co_await fail(std::move(job), std::move(*failure));
}

asio::awaitable<Outcome> Queue::State::run_async(Job job, const AsyncHandler* handler) {
    auto ended_timer = std::make_shared<asio::steady_timer>(executor);
    group.spawn(executor, keep_lease(shared_from_this(), job, ended_timer));
    // Ends the renewal however this coroutine ends.
    struct Release {
        std::shared_ptr<asio::steady_timer> timer;
        ~Release() { timer->expires_at(base::Monotonic::time_point::min()); }
    };
    const Release release{ended_timer};

    std::optional<Failure> failure;
    try {
        co_await (*handler)(job);
    } catch (const Permanent& error) {
        failure = Failure{code_of(error), true};
    } catch (const std::exception& error) {
        failure = Failure{code_of(error), false};
    }
    if (failure) co_return co_await fail(std::move(job), std::move(*failure));
    auto finish = [&job](db::Transaction& tx) { return store::complete(tx, job); };
    const bool done = co_await db.transact(std::move(finish));
    co_return done ? Outcome::done : Outcome::fenced;
}

asio::awaitable<void> Queue::State::keep_lease(std::shared_ptr<State> self, Job job,
                                               std::shared_ptr<asio::steady_timer> ended) {
    for (;;) {
        // Whoever ended the job set an expiry in the past: that one stays.
        if (ended->expiry() == base::Monotonic::time_point::min()) co_return;
        ended->expires_after(self->options.lease / kRenewalsPerLease);
        const auto [error] = co_await ended->async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) co_return;
        auto extend = [&job, &self](db::Transaction& tx) {
            return store::extend(tx, job, self->options.lease);
        };
        try {
            if (!co_await self->db.transact(std::move(extend))) co_return;
        } catch (const boost::system::system_error&) {
            throw;  // cancelled
        } catch (const std::exception& trouble) {
            base::log::warn("job_lease_not_renewed", {{"job_id", job.id}, {"code", code_of(trouble)}});
        }
    }
}

asio::awaitable<Outcome> Queue::State::fail(Job job, Failure failure) {
    const bool last = failure.permanent || job.attempt >= job.max_attempts;
    const auto delay = backoff(job.attempt, options.backoff_base, options.backoff_cap, random());
    auto record = [&job, &failure, last, delay](db::Transaction& tx) {
        return last ? store::bury(tx, job, failure.code) : store::retry_later(tx, job, failure.code, delay);
    };
    const bool held_still = co_await db.transact(std::move(record));
    if (!held_still) co_return Outcome::fenced;
    base::log::warn("job_failed", {{"job_id", job.id},
                                   {"kind", job.kind},
                                   {"attempt", job.attempt},
                                   {"total", job.max_attempts},
                                   {"code", failure.code}});
    if (!last) look_again();  // the loop reckons with the new due time
    co_return last ? Outcome::dead : Outcome::retried;
}

asio::awaitable<void> Queue::State::run_schedule(std::shared_ptr<State> self, std::string name,
                                                 trace::Span span) {
    const auto began = base::Monotonic::now();
    const auto& schedule = self->schedules.at(name);
    Outcome outcome = Outcome::done;
    std::optional<std::string> failure;
    try {
        auto act = [&name, &schedule](db::Transaction& tx) {
            if (!store::hold_schedule(tx, name)) return false;
            const bool more = schedule.fn(tx);
            store::schedule_done(tx, name, more ? std::chrono::milliseconds(0) : schedule.interval);
            return true;
        };
        if (!co_await self->db.transact(std::move(act))) outcome = Outcome::fenced;
    } catch (const std::exception& error) {
        failure = code_of(error);
    }
    if (failure) {
        outcome = Outcome::retried;
        span.fail(*failure);
        base::log::warn("schedule_failed", {{"name", name}, {"code", *failure}});
        const double random = self->random();
        auto record = [&](db::Transaction& tx) {
            const int failures = store::schedule_failed(tx, name, *failure);
            const auto delay =
                backoff(failures, self->options.backoff_base, self->options.backoff_cap, random);
            store::schedule_again(tx, name, std::min(delay, schedule.interval));
        };
        try {
            co_await self->db.transact(std::move(record));
        } catch (const std::exception& error) {
            base::log::warn("schedule_failure_not_recorded", {{"name", name}, {"code", code_of(error)}});
        }
    }
    self->running_schedules.erase(name);
    // Losing the race to another process is the normal case and no event.
    if (self->observer && outcome != Outcome::fenced)
        self->observer->job_ended(name, outcome, base::Monotonic::now() - began);
    if (outcome == Outcome::fenced)
        self->fenced_schedules[name] = base::Monotonic::now();
    else
        self->look_again();
    self->slot_free();
}

}  // namespace supd::jobs
