#include "exporter.hpp"

#include "otlp.hpp"

#include <supd/base/log.hpp>
#include <supd/base/random.hpp>

#include <pthread.h>

#include <algorithm>
#include <new>

namespace supd::trace {
namespace {

using Millis = std::chrono::milliseconds;

// OTLP/HTTP, "Retryable Response Codes".
bool is_retryable(int status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

// Processes that lost the same collector must not come back in step.
Millis with_jitter(Millis pause) {
    std::uint8_t drawn = 0;
    base::random_bytes(&drawn, 1);
    return pause / 2 + pause * drawn / 512;
}

}  // namespace

Tracer::Exporter::Exporter(Options options) : options_(std::move(options)) {
    queue_.reserve(options_.queue);  // add() must not fail
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "trace");
}

Tracer::Exporter::~Exporter() {
    stop({});
}

void Tracer::Exporter::add(std::unique_ptr<Record> record) noexcept {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
        undelivered_.fetch_add(1, std::memory_order_relaxed);
    } else if (queue_.size() >= options_.queue) {
        overflown_.fetch_add(1, std::memory_order_relaxed);
    } else {
        queue_.push_back(std::move(record));
        // Between the first and a full batch the thread waits for time to pass.
        if (queue_.size() == 1 || queue_.size() == options_.batch) wake_.notify_one();
    }
}

void Tracer::Exporter::hurry(base::Monotonic::time_point until) {
    const std::lock_guard lock(mutex_);
    until_ = std::min(until_, until);
}

void Tracer::Exporter::stop(Millis patience) {
    {
        const std::lock_guard lock(mutex_);
        if (!stopping_) until_ = std::min(until_, base::Monotonic::now() + patience);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

Numbers Tracer::Exporter::numbers() const noexcept {
    Numbers out;
    out.exported = exported_.load(std::memory_order_relaxed);
    out.overflown = overflown_.load(std::memory_order_relaxed);
    out.undelivered = undelivered_.load(std::memory_order_relaxed);
    out.refused = refused_.load(std::memory_order_relaxed);
    return out;
}

void Tracer::Exporter::run() {
    for (;;) {
        Batch batch;
        try {
            batch = next();
            if (batch.empty()) return;
            deliver(batch);
        } catch (const std::bad_alloc&) {
            undelivered_.fetch_add(batch.size(), std::memory_order_relaxed);
        }
    }
}

Tracer::Exporter::Batch Tracer::Exporter::next() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    wake_.wait_for(lock, options_.interval, [this] { return stopping_ || queue_.size() >= options_.batch; });
    const auto size = static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.batch));
    Batch out(std::move_iterator(queue_.begin()), std::move_iterator(queue_.begin() + size));
    queue_.erase(queue_.begin(), queue_.begin() + size);
    return out;
}

void Tracer::Exporter::deliver(const Batch& batch) {
    const auto body = otlp_json(options_.resource, batch);
    for (int attempt = 1;; ++attempt) {
        const auto answer = ask(body);
        const int status = answer ? answer->status : 0;
        const bool taken = status / 100 == 2;
        note(taken, status);
        if (taken) {
            const auto rejected = std::min(answer->rejected, batch.size());
            exported_.fetch_add(batch.size() - rejected, std::memory_order_relaxed);
            refused_.fetch_add(rejected, std::memory_order_relaxed);
            return;
        }
        const bool again = !answer || is_retryable(status);
        Millis wait = with_jitter(options_.first_pause * (1 << (attempt - 1)));
        if (answer && answer->retry_after)
            wait = std::max(wait, std::min<Millis>(*answer->retry_after, kLongestPause));
        if (again && attempt < kAttempts && pause(wait)) continue;
        (again ? undelivered_ : refused_).fetch_add(batch.size(), std::memory_order_relaxed);
        return;
    }
}

std::optional<Answer> Tracer::Exporter::ask(const std::string& body) {
    base::Monotonic::time_point until;
    {
        const std::lock_guard lock(mutex_);
        until = until_;
    }
    const auto left = until == base::Monotonic::time_point::max()
                          ? kPostTimeout
                          : std::chrono::duration_cast<Millis>(until - base::Monotonic::now());
    why_ = "no time left";
    if (left <= Millis(0)) return std::nullopt;
    try {
        return options_.post(body, std::min(left, kPostTimeout));
    } catch (const std::exception& error) {
        why_ = error.what();
        return std::nullopt;
    }
}

bool Tracer::Exporter::pause(Millis time) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

void Tracer::Exporter::note(bool taken, int status) {
    if (taken == !away_) return;
    away_ = !taken;
    if (taken)
        base::log::info("trace_export_resumed");
    else
        base::log::warn("trace_export_failed", {{"status", status}, {"error", status == 0 ? why_ : ""}});
}

}  // namespace supd::trace
