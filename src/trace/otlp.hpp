// ExportTraceServiceRequest in the JSON form of OTLP (opentelemetry-proto, "JSON Protobuf Encoding": ids in
// hexadecimal, 64-bit integers as text, enumerations as numbers).
#pragma once

#include "record.hpp"

#include <supd/trace/tracer.hpp>

#include <memory>
#include <string>
#include <vector>

namespace supd::trace {

std::string otlp_json(const Resource& resource, const std::vector<std::unique_ptr<Record>>& spans);

}  // namespace supd::trace
