#include "exporter.hpp"
#include "record.hpp"

#include <supd/base/random.hpp>
#include <supd/trace/tracer.hpp>

#include <algorithm>
#include <chrono>

namespace supd::trace {
namespace {

// Of the trace id's last eight bytes, 63 bits decide, so that the bound of 1.0 can be said.
constexpr std::uint64_t kAll = 1ULL << 63U;

std::uint64_t threshold(double ratio) {
    return static_cast<std::uint64_t>(std::clamp(ratio, 0.0, 1.0) * static_cast<double>(kAll));
}

std::uint64_t drawn_of(const TraceId& trace) {
    std::uint64_t out = 0;
    for (std::size_t i = 8; i < trace.size(); ++i)
        out = out << 8U | trace[i];
    return out & (kAll - 1);
}

// Ids of zeros are invalid.
template <class Id>
Id make_id() {
    Id out{};
    while (out == Id{})
        base::random_bytes(out.data(), out.size());
    return out;
}

}  // namespace

Tracer::Tracer(Options options)
    : sampled_below_(threshold(options.ratio)),
      most_client_spans_(options.client_spans),
      client_spans_(options.client_spans) {
    exporter_ = std::make_unique<Exporter>(std::move(options));
}

Tracer::~Tracer() = default;

Span Tracer::begin(Kind kind, std::string_view name, const std::optional<Context>& parent) {
    if (parent && !parent->sampled) return {};
    const auto trace = parent ? parent->trace : make_id<TraceId>();
    if (!(parent && client_may()) && drawn_of(trace) >= sampled_below_) return {};
    return begin(kind, name, trace, parent ? parent->span : SpanId{});
}

Span Tracer::begin(Kind kind, std::string_view name, const TraceId& trace, const SpanId& parent) {
    auto record = std::make_unique<Record>();
    record->context = {trace, make_id<SpanId>(), true, this};
    record->parent = parent;
    record->kind = kind;
    record->name = name;
    record->begun = base::Monotonic::now();
    record->start_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
    return Span(record.release());
}

bool Tracer::client_may() noexcept {
    const std::lock_guard lock(mutex_);
    const auto now = base::Monotonic::now();
    const double passed = std::chrono::duration<double>(now - refilled_).count();
    client_spans_ = std::min(most_client_spans_, client_spans_ + passed * kClientSpansPerSecond);
    refilled_ = now;
    if (client_spans_ < 1) return false;
    --client_spans_;
    return true;
}

void Tracer::hurry(base::Monotonic::time_point until) {
    exporter_->hurry(until);
}

void Tracer::stop(std::chrono::milliseconds patience) {
    exporter_->stop(patience);
}

Numbers Tracer::numbers() const noexcept {
    return exporter_->numbers();
}

}  // namespace supd::trace
