// Numbers for operators, in the Prometheus text format. Modules ask the registry once for a metric, keep the
// reference (valid as long as the registry) and count without locks from any thread. Names follow the
// Prometheus conventions: base units, `_total` on counters, no high-cardinality labels (never a user, chat,
// path or address).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
public:
    void add(std::uint64_t by = 1) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
public:
    void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t by) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
    std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

class Histogram {
public:
    explicit Histogram(std::vector<double> upper_bounds);
    void observe(double value) noexcept;
    std::uint64_t count() const noexcept;

private:
    friend class Registry;
    std::vector<double> bounds_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;  ///< one more than bounds: the rest
    std::atomic<double> sum_{0};
};

/// Upper bounds in seconds, 0.5 ms to 10 s: for latencies.
std::vector<double> latency_bounds();
/// Powers of two from 1 to `max`: for batch sizes and lengths.
std::vector<double> size_bounds(double max);

class Registry {
public:
    /// Holds process_* and supd_build_info{version,commit} from the start.
    explicit Registry(std::string_view version, std::string_view commit = "unknown");
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    /// The same name and labels give the same metric. Throws std::logic_error when the name is taken by
    /// another kind.
    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                         const Labels& labels = {});

    using Read = std::function<double()>;
    /// Asked at each scrape, on the scraping thread: must be quick, thread-safe, and outlive the registry's
    /// last expose(). A NaN is left out.
    void gauge_callback(std::string_view name, std::string_view help, Read read, const Labels& labels = {});
    void counter_callback(std::string_view name, std::string_view help, Read read, const Labels& labels = {});

    /// Text exposition format 0.0.4.
    std::string expose() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::metrics
