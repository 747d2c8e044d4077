#include <supd/jobs/job_metrics.hpp>

#include <cmath>

namespace supd::jobs {
namespace {

constexpr double kMillisPerSecond = 1000.0;

class MetricsObserver final : public Observer {
public:
    explicit MetricsObserver(metrics::Registry& registry)
        : registry_(registry),
          ready_(depth_of("ready")),
          running_(depth_of("running")),
          dead_(depth_of("dead")),
          took_(registry.histogram("jobs_duration_seconds", "Time from claim to outcome of one attempt.",
                                   metrics::latency_bounds())) {
        registry.gauge_callback(
            "jobs_oldest_age_seconds", "How long the longest-waiting due job has been due.",
            [this] { return static_cast<double>(oldest_ms_.value()) / kMillisPerSecond; });
    }

    void job_ended(std::string_view kind, Outcome outcome, std::chrono::duration<double> took) override {
        registry_
            .counter("jobs_total", "Attempts by kind and outcome.",
                     {{"kind", std::string(kind)}, {"outcome", std::string(name_of(outcome))}})
            .add();
        took_.observe(took.count());
    }

    void depth(const Depth& depth) override {
        ready_.set(depth.ready);
        running_.set(depth.running);
        dead_.set(depth.dead);
        oldest_ms_.set(std::llround(depth.oldest_age_s * kMillisPerSecond));
    }

private:
    metrics::Gauge& depth_of(const char* state) {
        return registry_.gauge("jobs_queue_depth", "Rows of the job table, counted up to 100,000 each.",
                               {{"state", state}});
    }

    metrics::Registry& registry_;
    metrics::Gauge& ready_;
    metrics::Gauge& running_;
    metrics::Gauge& dead_;
    metrics::Gauge oldest_ms_;
    metrics::Histogram& took_;
};

}  // namespace

std::unique_ptr<Observer> observe_with(metrics::Registry& registry) {
    return std::make_unique<MetricsObserver>(registry);
}

}  // namespace supd::jobs
