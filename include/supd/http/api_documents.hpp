// docs/openapi.yaml and docs/asyncapi.yaml, built into the binary as JSON.
#pragma once

#include <supd/http/router.hpp>

#include <string_view>

namespace supd::http {

/// The documents' text; "{}" when the file was missing at build time.
std::string_view openapi_json() noexcept;
std::string_view asyncapi_json() noexcept;

/// GET /api/v1/openapi.json (get_openapi) and /api/v1/asyncapi.json (get_asyncapi).
void add_api_documents(Router& router);

}  // namespace supd::http
