// What the doctor sees of the server from outside, through whatever stands in front of it.
#pragma once

#include "doctor.hpp"

#include <supd/http/fetch.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace supd::app {

/// What the doctor says that it is in X-Forwarded-For; nobody's address (RFC 5737).
inline constexpr std::string_view kForgedAddress = "192.0.2.77";

/// `own`: from where we asked. `seen`: whom supd took us for.
Judgement judge_client_address(const std::string& own, const std::string& seen);
Judgement judge_scheme(bool https, bool seen_secure);
/// `now`: seconds since the epoch.
Judgement judge_certificate(const net::PeerCertificate& shown, std::int64_t now);
/// Status of a body as large as supd takes, and of one that is larger.
Judgement judge_bodies(int at_the_limit, int over_it, std::size_t limit);
/// Status and body of /metrics, asked from outside.
Judgement judge_metrics_hidden(int status, std::string_view body);
/// A Date header (RFC 9110 5.6.7).
Judgement judge_date(const std::string& date, std::int64_t now);

/// What the WebSocket did when it was asked to open.
struct SocketFacts {
    int status = 0;
    bool accepted = false;  ///< 101 with the right Sec-WebSocket-Accept
    bool hello = false;     ///< supd's first frame came through
    std::string fault;      ///< why there is no answer
    std::int64_t heartbeat_s = 25;
};
Judgement judge_upgrade(const SocketFacts& facts);

/// How a quiet connection ended or not.
struct IdleFacts {
    bool with_token = false;
    bool sign_of_life = false;  ///< supd's ping (with a token) or its own close frame (without) came
    double after_s = 0;         ///< until that, or until the connection was cut
};
Judgement judge_idle(const IdleFacts& facts);

/// doctor_socket.cpp
Findings examine_socket(const http::Url& url, bool verify, const DoctorOptions& options);

}  // namespace supd::app
