#include "coalescer.hpp"

#include <supd/base/error.hpp>
#include <supd/receipts/limits.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace supd::receipts {

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
    while (!waiting_.empty() && out.size() < kMaxBatch) {
        out.push_back(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
    }
    if (out.empty()) draining_ = false;
    return out;
}

void Coalescer::put_back(const std::vector<Mark>& marks) {
    const std::lock_guard lock(mutex_);
    for (const auto& mark : marks)
        merge(mark);
}

asio::awaitable<void> Coalescer::drain() {
    asio::steady_timer timer(threads_.context(0));
    for (;;) {
        timer.expires_after(kFlushInterval);
        co_await timer.async_wait(asio::use_awaitable);
        const auto batch = take();
        if (batch.empty()) co_return;
        try {
            auto work = [&](db::Transaction& tx) { return store::move(tx, batch); };
            announce_(co_await database_.transact(work));
        } catch (const base::Error&) {
            put_back(batch);  // the database is away: marks only move forward, so trying again is safe
        } catch (const std::exception& fault) {
            spdlog::error("receipts lost: {}", fault.what());
        }
    }
}

void Coalescer::stop() {
    tasks_.cancel();
    tasks_.wait();
}

}  // namespace supd::receipts
