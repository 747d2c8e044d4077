#include "observe_machine.hpp"

#include <supd/base/log.hpp>

#include <filesystem>
#include <limits>

namespace supd::app {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double space(const std::string& folder, std::uintmax_t std::filesystem::space_info::* field) {
    std::error_code error;
    const auto found = std::filesystem::space(folder, error);
    return error ? kUnknown : static_cast<double>(found.*field);
}

}  // namespace

void observe_machine(metrics::Registry& metrics, const std::string& data_dir) {
    using std::filesystem::space_info;
    metrics.gauge_callback("data_dir_free_bytes", "Free for supd on the file system of its data folder",
                           [data_dir] { return space(data_dir, &space_info::available); });
    metrics.gauge_callback("data_dir_size_bytes", "Size of the file system of the data folder",
                           [data_dir] { return space(data_dir, &space_info::capacity); });
    metrics.counter_callback("log_lines_dropped_total",
                             "Log lines lost: standard error took none, or not in time",
                             [] { return static_cast<double>(base::log::dropped()); });
}

void observe_certificate(metrics::Registry& metrics, std::shared_ptr<const net::TlsContext> tls) {
    metrics.gauge_callback("tls_certificate_expiry_timestamp_seconds",
                           "When the certificate in use ends, seconds since the epoch", [tls] {
                               const auto end = tls->expires_at();
                               return end ? static_cast<double>(*end) : kUnknown;
                           });
}

}  // namespace supd::app
