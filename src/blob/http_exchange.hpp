// One HTTP request and its answer on a connection of its own, blocking, with deadlines on every step.
#pragma once

#include "sigv4.hpp"

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace supd::blob {

struct Endpoint {
    bool tls = true;
    std::string host;
    std::string port;
    std::string ca_file;
    /// As the Host header has it: the port only where it is not the scheme's.
    std::string authority() const;
};

struct HttpRequest {
    std::string method;
    std::string target;  ///< encoded
    Pairs headers;
    std::uint64_t length = 0;
    std::function<std::string()>
        next_piece;  ///< of the body, until `length` bytes have come; may be empty for 0
};

struct HttpAnswer {
    unsigned status = 0;
    Pairs headers;     ///< lower-case names
    std::string body;  ///< what did not go to the sink
    std::string header(std::string_view name) const;
};

/// The connection failed, or the answer was none; the request may have been carried out.
class ExchangeError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// `sink`, if given, takes the body of a 2xx answer.
HttpAnswer exchange(const Endpoint& endpoint, const HttpRequest& request,
                    const std::function<void(std::string_view)>& sink);

}  // namespace supd::blob
