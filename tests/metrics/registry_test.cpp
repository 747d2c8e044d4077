// The exposition: values, kinds, and promtool's opinion of it.
#include <supd/metrics/metrics.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace supd::metrics {
namespace {

TEST(Registry, ValuesAndKinds) {
    Registry registry("1.2.3", "abc");
    auto& counter = registry.counter("things_total", "Things", {{"kind", "a"}});
    EXPECT_EQ(&counter, &registry.counter("things_total", "Things", {{"kind", "a"}}));
    EXPECT_NE(&counter, &registry.counter("things_total", "Things", {{"kind", "b"}}));
    EXPECT_THROW(registry.gauge("things_total", "Things"), std::logic_error);
    EXPECT_THROW(registry.gauge("no name", "x"), std::logic_error);
    std::thread other([&] {
        for (int i = 0; i < 1000; ++i)
            counter.add();
    });
    for (int i = 0; i < 1000; ++i)
        counter.add();
    other.join();
    registry.gauge("depth", "Depth").set(-4);
    registry.gauge_callback("asked", "Asked at the scrape", [] { return 7.5; });
    registry.gauge_callback("unknown", "Left out", [] { return std::nan(""); });
    auto& sizes = registry.histogram("batch_size", "Sizes", size_bounds(8));
    for (const double value : {1.0, 2.0, 3.0, 100.0})
        sizes.observe(value);
    EXPECT_EQ(sizes.count(), 4u);
    const auto text = registry.expose();
    for (const auto* line : {"things_total{kind=\"a\"} 2000", "things_total{kind=\"b\"} 0", "depth -4",
                             "asked 7.5", "batch_size_bucket{le=\"1\"} 1", "batch_size_bucket{le=\"4\"} 3",
                             "batch_size_bucket{le=\"+Inf\"} 4", "batch_size_sum 106", "batch_size_count 4",
                             "supd_build_info{commit=\"abc\",version=\"1.2.3\"} 1",
                             "# TYPE things_total counter", "# TYPE process_resident_memory_bytes gauge"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
    EXPECT_EQ(text.find("\nunknown"), std::string::npos);
}

TEST(Registry, ProcessMetricsAreSane) {
    const auto text = Registry("1").expose();
    const auto value = [&](const std::string& name) {
        const auto at = text.find("\n" + name + " ");
        return at == std::string::npos ? -1.0 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
    };
    EXPECT_GT(value("process_resident_memory_bytes"), 1e6);
    EXPECT_GE(value("process_open_fds"), 3);
    EXPECT_GE(value("process_threads"), 1);
    EXPECT_GT(value("process_start_time_seconds"), 1e9);
    EXPECT_GE(value("process_cpu_seconds_total"), 0);
}

TEST(Registry, PromtoolAcceptsIt) {
    ASSERT_EQ(std::system("command -v promtool >/dev/null 2>&1"), 0)
        << "promtool is missing: scripts/install-deps test puts it into build/tools/bin";
    Registry registry("1");
    registry.counter("http_requests_total", "Requests", {{"operation", "a\"b\\c\nd"}}).add();
    registry.histogram("http_request_duration_seconds", "Time", latency_bounds()).observe(0.1);
    auto* pipe = popen("promtool check metrics 2>&1", "w");
    ASSERT_NE(pipe, nullptr);
    const auto text = registry.expose();
    fwrite(text.data(), 1, text.size(), pipe);
    EXPECT_EQ(pclose(pipe), 0) << text;
}

}  // namespace
}  // namespace supd::metrics
