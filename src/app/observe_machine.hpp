// What the process sees of the machine it runs on and of its own output: disk, certificate, log lines.
#pragma once

#include <supd/metrics/metrics.hpp>
#include <supd/net/tls.hpp>

#include <memory>
#include <string>

namespace supd::app {

/// data_dir_free_bytes and data_dir_size_bytes (left out while there is no such folder),
/// log_lines_dropped_total.
void observe_machine(metrics::Registry& metrics, const std::string& data_dir);
/// tls_certificate_expiry_timestamp_seconds; only for a daemon that speaks TLS itself.
void observe_certificate(metrics::Registry& metrics, std::shared_ptr<const net::TlsContext> tls);

}  // namespace supd::app
