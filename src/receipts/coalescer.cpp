#include "coalescer.hpp"

#include <supd/base/error.hpp>
#include <supd/base/log.hpp>
#include <supd/receipts/limits.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <typeinfo>

namespace supd::receipts {
namespace {

constexpr int kMaxFaults = 5;  // in a row, before a batch that the database refuses is given up

}  // namespace

Coalescer::Coalescer(db::Database& database, async::IoThreads& threads,
                     std::function<void(const std::vector<Moved>&)> announce)
    : database_(database), threads_(threads), announce_(std::move(announce)) {}

void Coalescer::merge(const Mark& mark) {
    auto& known = waiting_[{mark.chat, mark.user}];
    known.chat = mark.chat;
    known.user = mark.user;
    known.read = std::max(known.read, mark.read);
    known.delivered = std::max(known.delivered, mark.delivered);
}

void Coalescer::add(const Mark& mark) {
    bool start = false;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= kMaxPending && !waiting_.contains({mark.chat, mark.user}))
            throw base::unavailable("overloaded", "Too many marks are waiting.");
        merge(mark);
        start = !std::exchange(draining_, true);
    }
    if (start) tasks_.spawn(threads_.context(0).get_executor(), drain());
}

std::vector<Mark> Coalescer::take() {
    const std::lock_guard lock(mutex_);
    std::vector<Mark> out;
    out.reserve(std::min(waiting_.size(), kMaxBatch));
    // Goes on behind the last one taken: under load those at the end must have their turn too.
    auto next = waiting_.upper_bound(last_taken_);
    while (!waiting_.empty() && out.size() < kMaxBatch) {
        if (next == waiting_.end()) next = waiting_.begin();
        last_taken_ = next->first;
        out.push_back(next->second);
        next = waiting_.erase(next);
    }
    std::ranges::sort(out, {}, [](const Mark& mark) { return std::pair(mark.chat, mark.user); });
    if (out.empty()) draining_ = false;
    return out;
}

std::size_t Coalescer::pending() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
}

void Coalescer::put_back(const std::vector<Mark>& marks) {
    const std::lock_guard lock(mutex_);
    for (const auto& mark : marks)
        merge(mark);
}

asio::awaitable<void> Coalescer::drain() {
    asio::steady_timer timer(threads_.context(0));
    int faults = 0;
    bool more = false;  // the last batch was full and was written: what waits need not wait longer
    for (;;) {
        if (!more) {
            timer.expires_after(kFlushInterval);
            co_await timer.async_wait(asio::use_awaitable);
        }
        const auto batch = take();
        if (batch.empty()) co_return;
        more = false;
        try {
            co_await flush(batch);
            faults = 0;
            more = batch.size() == kMaxBatch;
        } catch (const base::Error&) {
            put_back(batch);  // the database is away: marks only move forward, so trying again is safe
        } catch (const std::exception& fault) {
            base::log::error("receipts_not_stored", {{"kind", typeid(fault).name()}, {"attempt", ++faults}});
            if (faults < kMaxFaults) put_back(batch);
        }
    }
}

asio::awaitable<void> Coalescer::flush(const std::vector<Mark>& batch) {
    auto work = [&](db::Transaction& tx) { return store::move(tx, batch); };
    announce_(co_await database_.transact(work));
}

// What still waits: nobody has an acknowledgement for it, so nobody would send it again.
asio::awaitable<void> Coalescer::flush_rest() {
    try {
        for (auto batch = take(); !batch.empty(); batch = take())
            co_await flush(batch);
    } catch (const std::exception& fault) {
        base::log::error("receipts_not_stored", {{"kind", typeid(fault).name()}});
    }
}

void Coalescer::stop() {
    tasks_.cancel();
    tasks_.wait();
    async::TaskGroup last("receipts");
    last.spawn(threads_.context(0).get_executor(), flush_rest());
    last.wait();
}

}  // namespace supd::receipts
