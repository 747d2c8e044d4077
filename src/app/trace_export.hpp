// Where spans go: OTLP over HTTP (OpenTelemetry Protocol 1.x, JSON) to the configured collector.
#pragma once

#include "config.hpp"

#include <supd/http/fetch.hpp>
#include <supd/trace/tracer.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::app {

using OtlpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The endpoint with /v1/traces behind it; nullopt when it is no URL for that.
std::optional<http::Url> otlp_url(std::string_view endpoint);
/// "name=value,name=value" with percent-encoded values, as of OTEL_EXPORTER_OTLP_HEADERS; nullopt when it is
/// not.
std::optional<OtlpHeaders> otlp_headers(std::string_view text);

/// Throws net::OutboundError when no answer came.
trace::Post post_to(http::Url url, OtlpHeaders headers);

/// Of a configuration that was checked and names a collector.
trace::Options trace_options(const Config& config);

}  // namespace supd::app
