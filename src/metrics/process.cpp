#include "process.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

namespace supd::metrics {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double pages_of(int field) {
    std::ifstream in("/proc/self/statm");
    double total = kUnknown, resident = kUnknown;
    if (!(in >> total >> resident)) return kUnknown;
    return (field == 0 ? total : resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0) return kUnknown;
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_fds() {
    auto* folder = opendir("/proc/self/fd");
    if (!folder) return kUnknown;
    double count = -3;  // ".", ".." and this folder
    while (readdir(folder))
        ++count;
    closedir(folder);
    return count;
}

double max_fds() {
    rlimit limit{};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<double>(limit.rlim_cur) : kUnknown;
}

double threads() {
    auto* folder = opendir("/proc/self/task");
    if (!folder) return kUnknown;
    double count = -2;
    while (readdir(folder))
        ++count;
    closedir(folder);
    return count;
}

double started_at() {
    std::ifstream stat("/proc/self/stat");
    std::string text;
    std::getline(stat, text);
    const auto paren = text.rfind(')');
    if (paren == std::string::npos) return kUnknown;
    std::size_t at = paren + 1;
    for (int field = 3; field < 22 && at != std::string::npos; ++field)
        at = text.find(' ', at + 1);
    if (at == std::string::npos) return kUnknown;
    const double ticks = std::strtod(text.c_str() + at, nullptr);
    std::ifstream boot("/proc/stat");
    for (std::string word; boot >> word;) {
        double seconds = 0;
        if (word == "btime" && boot >> seconds)
            return seconds + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    return kUnknown;
}

}  // namespace

void add_process_metrics(Registry& registry) {
    registry.counter_callback("process_cpu_seconds_total", "User and system time spent, in seconds",
                              cpu_seconds);
    registry.gauge_callback("process_resident_memory_bytes", "Resident memory", [] { return pages_of(1); });
    registry.gauge_callback("process_virtual_memory_bytes", "Virtual memory", [] { return pages_of(0); });
    registry.gauge_callback("process_open_fds", "Open file descriptors", open_fds);
    registry.gauge_callback("process_max_fds", "The most file descriptors that may be open", max_fds);
    registry.gauge_callback("process_threads", "Threads", threads);
    registry.gauge_callback("process_start_time_seconds", "When the process started, seconds since the epoch",
                            [at = started_at()] { return at; });
}

}  // namespace supd::metrics
