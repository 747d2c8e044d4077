#include "request_metrics.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace supd::http {
namespace {

// Few, since each operation has them all: no metric may grow to more than 500 series.
std::vector<double> request_bounds() {
    return {0.001, 0.005, 0.025, 0.1, 0.5, 2.5};
}

// Those of RFC 9110 and PATCH: known, if not allowed anywhere (405); what is not here is 501.
constexpr std::array<std::string_view, 9> kMethods = {"GET",    "HEAD",    "POST",  "PUT",    "PATCH",
                                                      "DELETE", "OPTIONS", "TRACE", "CONNECT"};

struct Found {
    metrics::Counter* requests = nullptr;
    metrics::Histogram* seconds = nullptr;
};

struct CacheKey {
    const void* registry;
    const char* operation;
    const char* method;
    int status;
    bool operator==(const CacheKey&) const = default;
};

struct CacheHash {
    std::size_t operator()(const CacheKey& key) const noexcept {
        const auto mix = [](std::size_t a, std::size_t b) { return (a ^ b) * 0x9E3779B97F4A7C15ULL; };
        auto out =
            mix(reinterpret_cast<std::size_t>(key.registry), reinterpret_cast<std::size_t>(key.operation));
        out = mix(out ^ (out >> 31),
                  reinterpret_cast<std::size_t>(key.method) + static_cast<std::size_t>(key.status));
        return out ^ (out >> 29);
    }
};

}  // namespace

std::string_view known_method(std::string_view method) {
    const auto* at = std::find(kMethods.begin(), kMethods.end(), method);
    return at == kMethods.end() ? "other" : *at;
}

void RequestMetrics::count(std::string_view operation, std::string_view method, int status, double seconds) {
    if (!registry_) return;
    thread_local std::unordered_map<CacheKey, Found, CacheHash> cache;
    method = known_method(method);
    auto& found = cache[CacheKey{registry_, operation.data(), method.data(), status}];
    if (!found.requests) {
        const metrics::Labels labels = {{"operation", std::string(operation)},
                                        {"method", std::string(method)}};
        found.seconds =
            &registry_->histogram("http_request_duration_seconds",
                                  "Time from the head of a request to its answer", request_bounds(), labels);
        metrics::Labels with_status = labels;
        with_status.emplace_back("status", std::to_string(status));
        found.requests = &registry_->counter("http_requests_total", "Requests answered", with_status);
    }
    found.requests->add();
    found.seconds->observe(seconds);
}

}  // namespace supd::http
