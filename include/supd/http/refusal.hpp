// The whole answer of a connection that ends with it: for who takes connections over (WebSocket).
#pragma once

#include <supd/base/error.hpp>

#include <string>
#include <string_view>

namespace supd::http {

/// Status line, the headers of every answer and those of the error, and the problem. `secure`: over TLS.
std::string refusal(const base::Error& error, std::string_view request_id, bool secure);

}  // namespace supd::http
