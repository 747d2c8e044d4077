#include "process.hpp"

#include <supd/metrics/metrics.hpp>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>

namespace supd::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Series {
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
    Registry::Read read;
};

struct Family {
    MetricType type = MetricType::Untyped;
    std::string help;
    std::map<Labels, Series> series;
};

bool is_name(std::string_view name) {
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == ':';
           });
}

}  // namespace

struct Registry::Impl {
    mutable std::mutex mutex;
    std::map<std::string, Family, std::less<>> families;

    Series& series(std::string_view name, std::string_view help, MetricType type, Labels labels) {
        if (!is_name(name)) throw std::logic_error("not a metric name: " + std::string(name));
        std::sort(labels.begin(), labels.end());
        auto at = families.find(name);
        if (at == families.end()) {
            at = families.emplace(name, Family{}).first;
            at->second.type = type;
            at->second.help = help;
        }
        if (at->second.type != type) throw std::logic_error("two kinds of metric: " + std::string(name));
        return at->second.series[std::move(labels)];
    }
};

Histogram::Histogram(std::vector<double> upper_bounds)
    : bounds_(std::move(upper_bounds)),
      counts_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) noexcept {
    const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const noexcept {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i <= bounds_.size(); ++i)
        out += counts_[i].load(std::memory_order_relaxed);
    return out;
}

std::vector<double> latency_bounds() {
    return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

std::vector<double> size_bounds(double max) {
    std::vector<double> out;
    for (double bound = 1; bound <= max; bound *= 2)
        out.push_back(bound);
    return out;
}

Registry::Registry(std::string_view version, std::string_view commit) : impl_(std::make_unique<Impl>()) {
    gauge("supd_build_info", "Constant 1; the labels say what runs",
          {{"version", std::string(version)}, {"commit", std::string(commit)}})
        .set(1);
    add_process_metrics(*this);
}

Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& series = impl_->series(name, help, MetricType::Counter, labels);
    if (!series.counter) series.counter = std::make_unique<Counter>();
    return *series.counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& series = impl_->series(name, help, MetricType::Gauge, labels);
    if (!series.gauge) series.gauge = std::make_unique<Gauge>();
    return *series.gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                               const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& series = impl_->series(name, help, MetricType::Histogram, labels);
    if (!series.histogram) series.histogram = std::make_unique<Histogram>(std::move(bounds));
    return *series.histogram;
}

void Registry::gauge_callback(std::string_view name, std::string_view help, Read read, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    impl_->series(name, help, MetricType::Gauge, labels).read = std::move(read);
}

void Registry::counter_callback(std::string_view name, std::string_view help, Read read,
                                const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    impl_->series(name, help, MetricType::Counter, labels).read = std::move(read);
}

std::string Registry::expose() const {
    std::vector<MetricFamily> out;
    {
        const std::lock_guard lock(impl_->mutex);
        for (const auto& [name, family] : impl_->families) {
            MetricFamily one{name, family.help, family.type, {}};
            for (const auto& [labels, series] : family.series) {
                ClientMetric metric;
                for (const auto& [label, value] : labels)
                    metric.label.push_back({label, value});
                double value = 0;
                if (series.read)
                    value = series.read();
                else if (series.counter)
                    value = static_cast<double>(series.counter->value());
                else if (series.gauge)
                    value = static_cast<double>(series.gauge->value());
                if (std::isnan(value)) continue;
                metric.counter.value = value;
                metric.gauge.value = value;
                if (series.histogram) {
                    const auto& histogram = *series.histogram;
                    std::uint64_t seen = 0;
                    for (std::size_t i = 0; i < histogram.bounds_.size(); ++i) {
                        seen += histogram.counts_[i].load(std::memory_order_relaxed);
                        metric.histogram.bucket.push_back({seen, histogram.bounds_[i]});
                    }
                    seen += histogram.counts_[histogram.bounds_.size()].load(std::memory_order_relaxed);
                    metric.histogram.sample_count = seen;
                    metric.histogram.sample_sum = histogram.sum_.load(std::memory_order_relaxed);
                }
                one.metric.push_back(std::move(metric));
            }
            if (!one.metric.empty()) out.push_back(std::move(one));
        }
    }
    std::ostringstream text;
    prometheus::TextSerializer().Serialize(text, out);
    return text.str();
}

}  // namespace supd::metrics
