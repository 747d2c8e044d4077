// docs/openapi.yaml and docs/asyncapi.yaml as JSON, made at build time (cmake/embed_docs.cmake).
#pragma once

#include <string_view>

namespace supd::http {

/// Live as long as the process.
std::string_view openapi_json() noexcept;
std::string_view asyncapi_json() noexcept;

}  // namespace supd::http
