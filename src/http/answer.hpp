// Writing answers: status line, the headers that every answer carries, CORS, and problems.
#pragma once

#include "head.hpp"

#include <supd/base/error.hpp>
#include <supd/http/message.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/server.hpp>

#include <string>
#include <string_view>

namespace supd::http {

struct AnswerContext {
    std::string_view request_id;
    std::string_view origin;  ///< of the request, only when the allow-list has it
    bool vary_origin = false;
    bool secure = false;
    bool head_only = false;  ///< HEAD: the length is told, the body is not sent
    bool close = false;
    bool http_1_0 = false;
};

/// The bytes before the body.
std::string answer_head(const Reply& reply, const AnswerContext& context);

Reply problem_reply(const base::Error& error, std::string_view request_id);
Reply problem_reply(const Fault& fault, std::string_view request_id);

void add_rate_headers(Reply& reply, const Verdict& verdict);

bool allows_origin(const ServerOptions& options, std::string_view origin);
/// The answer to OPTIONS: a CORS preflight, or just Allow.
Reply options_reply(const Head& head, const std::vector<std::string_view>& allowed, bool cors);
/// False when the Accept header rules out `type` (RFC 9110 12.5.1, q=0 included).
bool accepts(const Head& head, std::string_view type);

}  // namespace supd::http
