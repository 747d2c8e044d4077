#include "dispatch.hpp"

#include "client_address.hpp"
#include "target.hpp"

#include <supd/async/run_on.hpp>
#include <supd/base/log.hpp>
#include <supd/http/idempotency.hpp>
#include <supd/trace/carrier.hpp>
#include <supd/trace/tracer.hpp>

#include <algorithm>
#include <typeinfo>

namespace supd::http {
namespace {

constexpr std::string_view kApi = "/api/";  // elsewhere people and probes ask, with all kinds of Accept

bool is_sane_id(std::string_view id) {
    return !id.empty() && id.size() <= kMaxRequestId && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_' || c == '.';
    });
}

// What is thrown may quote content (a row, a piece of JSON), so only its type is logged, and the text of
// those that cannot.
void log_fault(const std::exception& error, std::string_view operation, std::string_view request_id) {
    if (const auto* broken = dynamic_cast<const db::ConstraintViolation*>(&error)) {
        base::log::error("request_failed", {{"request_id", request_id},
                                            {"operation", operation},
                                            {"error", "constraint"},
                                            {"sqlstate", broken->sqlstate()},
                                            {"detail", broken->constraint()}});
        return;
    }
    const bool harmless =
        dynamic_cast<const std::logic_error*>(&error) || dynamic_cast<const std::system_error*>(&error);
    base::log::error("request_failed", {{"request_id", request_id},
                                        {"operation", operation},
                                        {"error", typeid(error).name()},
                                        {"detail", harmless ? error.what() : ""}});
}

Reply reply_of(const std::exception_ptr& thrown, std::string_view operation, const std::string& request_id) {
    try {
        std::rethrow_exception(thrown);
    } catch (const base::Error& error) {
        return problem_reply(error, request_id);
    } catch (const std::exception& error) {
        log_fault(error, operation, request_id);
    } catch (...) {
        base::log::error("request_failed",
                         {{"request_id", request_id}, {"operation", operation}, {"error", "unknown"}});
    }
    return problem_reply(
        base::Error(500, "internal", "The server failed. The request id helps to find out why."), request_id);
}

std::string_view bearer_of(const Head& head) {
    std::string_view token;
    for (const auto& [name, value] : head.headers) {
        if (name != "authorization") continue;
        if (!token.empty()) throw base::unauthenticated();
        if (value.size() < 8 || !same_token(std::string_view(value).substr(0, 7), "bearer "))
            throw base::unauthenticated();
        token = without_spaces(std::string_view(value).substr(7));
    }
    if (token.empty()) throw base::unauthenticated();
    return token;
}

class Planner {
public:
    Planner(const ServerState& server, const Head& head, Request& request, Plan& plan)
        : server_(server), head_(head), request_(request), plan_(plan) {}

    void run() {
        if (request_.path.empty())
            throw base::bad_request("malformed_request", "The path or the query is malformed.");
        if (known_method(head_.method) == "other")
            throw base::Error(501, "not_implemented", "This method is not known here.");
        auto match = server_.router.match(head_.method, raw_path_of(head_.target));
        if (!match.route) return without_route(std::move(match));
        plan_.route = match.route;
        plan_.operation = match.route->operation;
        for (auto& [name, value] : match.path_values) {
            auto decoded = percent_decoded(value, false);
            if (!decoded) throw base::not_found();
            request_.path_values.emplace_back(std::move(name), std::move(*decoded));
        }
        admit(*match.route);
        check_content(*match.route);
    }

private:
    void without_route(Router::Match match) {
        if (head_.method == "OPTIONS" && (!match.allowed.empty() || head_.target == "*")) {
            const auto origin = head_.header("origin");
            plan_.operation = "options";
            plan_.refusal =
                options_reply(head_, match.allowed, origin && allows_origin(server_.options, *origin));
            return;
        }
        charge(Limit::api, RateLimiter::address_key(request_.remote));
        if (match.allowed.empty()) throw base::not_found();
        std::string allow = "OPTIONS";
        for (const auto method : match.allowed)
            allow += (method == "GET" ? ", GET, HEAD" : ", " + std::string(method));
        throw base::Error(405, "method_not_allowed", "This path does not have that method.")
            .with_header("Allow", std::move(allow));
    }

    void charge(Limit limit, const std::string& key, double scale = 1) {
        if (!server_.services.limiter || limit == Limit::none) return;
        const auto verdict = server_.services.limiter->take(limit, key, scale);
        if (!plan_.verdict.counted || !verdict.allowed) plan_.verdict = verdict;
        if (!verdict.allowed) throw verdict.error();
    }

    void charge_address(Limit limit, bool shared) {
        if (!shared) return charge(limit, RateLimiter::address_key(request_.remote));
        if (server_.services.limiter)
            charge(limit, RateLimiter::shared_address_key(request_.remote),
                   server_.services.limiter->options().shared_address_factor);
    }

    void admit(const Route& route) {
        if (route.policy == Policy::open) return charge_address(route.limit, route.shared);
        try {
            if (!server_.services.authenticator) throw base::unauthenticated();
            request_.caller_ = server_.services.authenticator->authenticate(bearer_of(head_));
        } catch (const base::Error& refusal) {
            // An expired token is a genuine one: after a night's sleep a whole office comes with theirs.
            charge_address(Limit::api, refusal.code() == "token_expired");
            throw;
        }
        charge(route.limit, RateLimiter::user_key(request_.caller_->user));
        charge_address(route.limit, true);
        if (route.policy == Policy::admin && !request_.caller_->admin) throw base::forbidden();
    }

    void check_content(const Route& route) const {
        if (!route.produces.empty() && head_.target.starts_with(kApi) && !accepts(head_, route.produces) &&
            !accepts(head_, "application/problem+json"))
            throw base::Error(406, "not_acceptable",
                              "The answer would be " + std::string(route.produces) + ".");
        if (!head_.has_body()) return;
        if (const auto coding = head_.header("content-encoding"); coding && !same_token(*coding, "identity"))
            throw base::Error(415, "unsupported_media_type", "Send the body without Content-Encoding.");
        if (head_.content_length.value_or(0) > route.body_limit)
            throw base::Error(413, "too_large", "The body is larger than this route takes.");
    }

    const ServerState& server_;
    const Head& head_;
    Request& request_;
    Plan& plan_;
};

asio::awaitable<Reply> run_handler(const Route& route, Request request) {
    const std::string request_id = request.request_id;
    std::exception_ptr thrown;
    Reply reply;
    try {
        reply = co_await route.handler(std::move(request));
    } catch (...) {
        thrown = std::current_exception();
    }
    if (thrown) reply = reply_of(thrown, route.operation, request_id);
    co_return reply;
}

asio::awaitable<Reply> run_once(IdempotencyStore& store, const Route& route, Request request,
                                std::string key) {
    const auto visible = [](char c) { return c >= '!' && c <= '~'; };
    if (key.empty() || key.size() > kMaxIdempotencyKey || !std::all_of(key.begin(), key.end(), visible))
        throw base::bad_request("invalid_idempotency_key",
                                "Idempotency-Key is 1 to 255 visible ASCII characters.");
    const auto user = request.caller().user;
    IdempotencyClaim claim;
    claim.user = user;
    claim.key = key;
    claim.route = route.operation;
    claim.body = request.path + "\n" + request.body;
    auto outcome = co_await store.begin(std::move(claim));
    using State = IdempotencyOutcome::State;
    if (outcome.state == State::mismatch)
        throw base::Error(422, "idempotency_mismatch", "This Idempotency-Key was used for another request.");
    if (outcome.state == State::in_flight)
        throw base::conflict("idempotency_in_flight",
                             "The first request with this Idempotency-Key is still running.");
    if (outcome.state == State::replay) {
        outcome.answer.headers.emplace_back("Idempotent-Replayed", "true");
        co_return std::move(outcome.answer);
    }
    auto reply = co_await run_handler(route, std::move(request));
    // 429 and the server's own faults say nothing about the request: a retry must run it. So must one whose
    // answer is too large to be kept; what is large is read, not made.
    const bool kept =
        reply.kept && reply.status < 500 && reply.status != 429 && reply.body.size() <= kMaxKeptAnswer;
    // It is done: that this could not be noted must not make it look undone.
    try {
        if (kept) {
            Reply copy = reply;
            co_await store.finish(user, std::move(key), std::move(copy));
        } else {
            co_await store.finish_unkept(user, std::move(key));
        }
    } catch (const std::exception& error) {
        base::log::warn("idempotency_not_kept",
                        {{"operation", route.operation}, {"error", typeid(error).name()}});
    }
    co_return reply;
}

asio::awaitable<Reply> answer_route(const ServerState& server, const Route& route, Request request) {
    auto* store = server.services.idempotency;
    const auto key = request.header("idempotency-key");
    // Passwords travel in bodies of class auth: nothing is kept of those, not even a digest.
    if (!store || !key || request.method != "POST" || !request.caller_ || route.limit == Limit::auth)
        co_return co_await run_handler(route, std::move(request));

    const std::string request_id = request.request_id;
    std::string own_key(*key);
    std::exception_ptr thrown;
    Reply reply;
    try {
        reply = co_await run_once(*store, route, std::move(request), std::move(own_key));
    } catch (...) {
        thrown = std::current_exception();
    }
    if (thrown) reply = reply_of(thrown, route.operation, request_id);
    co_return reply;
}

asio::awaitable<Reply> run_under(trace::Context context, asio::awaitable<Reply> run) {
    auto executor = trace::carry(co_await asio::this_coro::executor, context);
    co_return co_await async::run_on(std::move(executor), std::move(run));
}

}  // namespace

std::string request_id_of(const Head& head) {
    for (const auto* name : {"x-request-id", "x-correlation-id"})
        if (const auto given = head.header(name); given && is_sane_id(*given)) return std::string(*given);
    return base::Id<void>::make().text();
}

Request make_request(const Head& head, const ServerState& server, const net::Stream& stream) {
    Request out;
    const auto client = client_of(head, stream.peer(), stream.secure(), server.options.trusted_proxies);
    out.request_id = request_id_of(head);
    out.method = head.method;
    if (auto target = parse_target(head.target)) {
        out.path = std::move(target->path);
        out.query = std::move(target->query);
    }
    out.remote = client.address;
    out.secure = client.secure;
    out.deadline = base::Monotonic::now() + kRequestDeadline;
    return out;
}

Plan plan_request(const ServerState& server, const Head& head, Request& request) {
    Plan plan;
    try {
        Planner(server, head, request, plan).run();
    } catch (...) {
        plan.refusal = reply_of(std::current_exception(), plan.operation, request.request_id);
    }
    return plan;
}

Plan plan_upgrade(const ServerState& server, const Request& request) {
    Plan plan;
    plan.operation = "websocket";
    auto* limiter = server.services.limiter;
    if (!limiter) return plan;
    const auto verdict = limiter->take(Limit::api, RateLimiter::shared_address_key(request.remote),
                                       limiter->options().shared_address_factor);
    if (!verdict.allowed) plan.refusal = problem_reply(verdict.error(), request.request_id);
    return plan;
}

trace::Span begin_span(const ServerState& server, const Head& head, std::string_view path) {
    auto* tracer = server.services.tracer;
    if (!tracer) return {};
    const auto method = known_method(head.method);
    std::string name(method == "other" ? "HTTP" : method);
    if (!path.empty()) name.append(" ").append(path);
    auto span = tracer->begin(trace::Kind::server, name, trace::parent_of(head.headers));
    span.set("http.request.method", method == "other" ? "_OTHER" : method);
    if (!path.empty()) span.set("http.route", path);
    return span;
}

asio::awaitable<Reply> run_route(const ServerState& server, const Route& route, Request request,
                                 trace::Context context) {
    auto run = answer_route(server, route, std::move(request));
    if (!context.recorded()) return run;  // no frame of our own
    return run_under(context, std::move(run));
}

}  // namespace supd::http
