// Begins spans, and tells a collector of those that have ended: in batches, by a thread of its own, over a
// queue with a bound. Nobody waits for it: what does not fit is dropped and counted. Thread-safe; outlives
// its spans.
//
// A parent from outside decides whether its trace is sampled (as long as there are few: kClientSpans), else a
// share of the traces is (the trace id decides, as in the OpenTelemetry SDK's TraceIdRatioBased). Batches
// that a collector does not take are sent again as the OTLP specification says: after no answer, 429, 502,
// 503 and 504, at growing distance or after its Retry-After.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/trace/span.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace supd::trace {

/// Of the queue, while a batch is under way or its collector is away.
inline constexpr std::size_t kQueueSpans = 2048;
inline constexpr std::size_t kBatchSpans = 512;
/// Spans at a time for which clients decide that they are recorded, and how many a second are added: beyond
/// it the ratio decides, so that strangers cannot fill a collector.
inline constexpr double kClientSpans = 200;
inline constexpr double kClientSpansPerSecond = 100;
/// How long a span waits for others.
inline constexpr std::chrono::milliseconds kInterval{1000};
/// For one request to the collector, with the look-up of its name.
inline constexpr std::chrono::milliseconds kPostTimeout{3000};
inline constexpr int kAttempts = 5;
/// Before the second attempt, then twice as long each time; half of it is drawn.
inline constexpr std::chrono::milliseconds kFirstPause{1000};
/// What a collector may ask for by Retry-After.
inline constexpr std::chrono::milliseconds kLongestPause{30000};

/// What the spans are of: attributes of the OTLP resource.
struct Resource {
    std::string service;   ///< service.name
    std::string version;   ///< service.version
    std::string instance;  ///< service.instance.id
};

/// A collector's answer.
struct Answer {
    int status = 0;
    std::optional<std::chrono::seconds> retry_after;
    std::size_t rejected = 0;  ///< of a 2xx: spans it did not take (partialSuccess)
};
/// Sends an ExportTraceServiceRequest in JSON; blocks up to `timeout`. Throws std::exception when no answer
/// came.
using Post = std::function<Answer(const std::string& body, std::chrono::milliseconds timeout)>;

struct Options {
    Resource resource;
    double ratio = 1;  ///< of new traces: 0 to 1
    Post post;         ///< called on the tracer's thread
    std::size_t queue = kQueueSpans;
    std::size_t batch = kBatchSpans;
    double client_spans = kClientSpans;
    std::chrono::milliseconds interval = kInterval;
    std::chrono::milliseconds first_pause = kFirstPause;
};

/// Since the start.
struct Numbers {
    std::uint64_t exported = 0;
    std::uint64_t overflown = 0;    ///< dropped: the queue was full
    std::uint64_t undelivered = 0;  ///< dropped: no collector took them in time
    std::uint64_t refused = 0;      ///< dropped: the collector does not want them
};

class Tracer {
public:
    explicit Tracer(Options options);
    /// stop() without patience.
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    /// A span without a local parent: nothing when it is not sampled. `parent` came from outside.
    Span begin(Kind kind, std::string_view name, const std::optional<Context>& parent = {});
    /// The process is ending: from now on no request to the collector begins that could last beyond `until`.
    void hurry(base::Monotonic::time_point until);
    /// Sends what is queued, each batch once, within `patience` and what hurry() said; a request under way
    /// may take kPostTimeout. What ends later is dropped.
    void stop(std::chrono::milliseconds patience);
    Numbers numbers() const noexcept;

private:
    friend class Span;
    friend Span child_of(const Context& parent, Kind kind, std::string_view name);
    Span begin(Kind kind, std::string_view name, const TraceId& trace, const SpanId& parent);
    bool client_may() noexcept;

    class Exporter;
    std::unique_ptr<Exporter> exporter_;
    std::uint64_t sampled_below_;
    const double most_client_spans_;
    std::mutex mutex_;  // of the two below
    double client_spans_;
    base::Monotonic::time_point refilled_ = base::Monotonic::now();
};

}  // namespace supd::trace
