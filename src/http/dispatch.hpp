// From a request's head to its answer: route, policy, limits, handler, and what is thrown on the way.
#pragma once

#include "answer.hpp"
#include "head.hpp"
#include "server_state.hpp"

#include <supd/trace/span.hpp>

#include <optional>
#include <string_view>

namespace supd::http {

/// What is known before a byte of the body is read.
struct Plan {
    const Route* route = nullptr;
    std::optional<Reply> refusal;  ///< or the answer to OPTIONS: no handler runs
    Verdict verdict;
    std::string_view operation = "unmatched";
};

/// The client's own when it is a sane one, else made.
std::string request_id_of(const Head& head);
/// The request but for headers and body: method, path, query, id, client.
/// A malformed target leaves the path empty.
Request make_request(const Head& head, const ServerState& server, const net::Stream& stream);
/// Takes rate limits and checks policy; never throws.
Plan plan_request(const ServerState& server, const Head& head, Request& request);
/// For a WebSocket: the rate limit of the address only, the endpoint asks for the rest. Never throws.
Plan plan_upgrade(const ServerState& server, const Request& request);
/// Of the whole request, named by the route's path (empty: there is none); continues the client's trace.
/// Nothing without a tracer.
trace::Span begin_span(const ServerState& server, const Head& head, std::string_view path);
/// Runs the handler under `context`; never throws.
asio::awaitable<Reply> run_route(const ServerState& server, const Route& route, Request request,
                                 trace::Context context);

}  // namespace supd::http
