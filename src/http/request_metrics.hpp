// http_requests_total and http_request_duration_seconds, with the metric of each label set found once per
// thread.
#pragma once

#include <supd/metrics/metrics.hpp>

#include <string_view>

namespace supd::http {

class RequestMetrics {
public:
    explicit RequestMetrics(metrics::Registry* registry) : registry_(registry) {}
    /// `operation` and `method`: of a fixed set, living as long as the server.
    void count(std::string_view operation, std::string_view method, int status, double seconds);

private:
    metrics::Registry* registry_;
};

/// The method itself when it is a known one, else "other".
std::string_view known_method(std::string_view method);

}  // namespace supd::http
