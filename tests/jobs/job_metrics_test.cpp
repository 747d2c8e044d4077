#include <supd/jobs/job_metrics.hpp>

#include <gtest/gtest.h>

namespace supd::jobs {
namespace {

TEST(JobMetricsTest, shows_outcomes_depth_and_age) {
    metrics::Registry registry("test");
    const auto observer = observe_with(registry);
    observer->job_ended("mail.verify", Outcome::done, std::chrono::milliseconds(3));
    observer->job_ended("mail.verify", Outcome::done, std::chrono::milliseconds(3));
    observer->job_ended("mail.verify", Outcome::dead, std::chrono::milliseconds(3));
    Depth depth;
    depth.ready = 7;
    depth.dead = 1;
    depth.oldest_age_s = 2.5;
    observer->depth(depth);
    const auto text = registry.expose();
    for (const auto* line :
         {"jobs_total{kind=\"mail.verify\",outcome=\"done\"} 2",
          "jobs_total{kind=\"mail.verify\",outcome=\"dead\"} 1", "jobs_queue_depth{state=\"ready\"} 7",
          "jobs_queue_depth{state=\"running\"} 0", "jobs_queue_depth{state=\"dead\"} 1",
          "jobs_oldest_age_seconds 2.5", "jobs_duration_seconds_count 3"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

}  // namespace
}  // namespace supd::jobs
