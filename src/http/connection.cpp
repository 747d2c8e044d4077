#include "connection.hpp"

#include "body.hpp"

#include <supd/base/log.hpp>
#include <supd/http/limits.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace supd::http {
namespace {

using Clock = base::Monotonic;
using net::IoState;
using net::OnDeadline;

constexpr std::size_t kMaxDiscarded = 8 * 1024 * 1024;  // of what comes after our last words
constexpr int kTooManyRequests = 429;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr Fault kTimeout{408, "request_timeout", "The request did not arrive in time."};

// The path of an upgrade, asked for in another way.
Plan plan_without_upgrade(const Head& head, std::string_view request_id) {
    Plan out;
    out.operation = "websocket";
    if (head.method == "OPTIONS")
        out.refusal = options_reply(head, {"GET"}, false);
    else if (head.method != "GET")
        out.refusal =
            problem_reply(base::Error(405, "method_not_allowed", "This path does not have that method.")
                              .with_header("Allow", "GET, OPTIONS"),
                          request_id);
    else
        out.refusal = problem_reply(base::Error(426, "upgrade_required", "This path speaks WebSocket.")
                                        .with_header("Upgrade", "websocket"),
                                    request_id);
    return out;
}

// Of the request, when it may read answers.
std::string origin_of(const Head& head, const ServerOptions& options) {
    const auto given = head.header("origin");
    return given && allows_origin(options, *given) ? std::string(*given) : std::string();
}

iovec part(std::string_view bytes) {
    return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

// What is known of the request being answered.
struct Connection::Exchange {
    Clock::time_point begun;
    std::string_view operation;
    std::string_view method;
    std::string request_id;
    trace::Span span;  // ends when the answer is sent
};

Connection::Connection(ServerState& server, std::unique_ptr<net::Stream> stream)
    : server_(server), stream_(std::move(stream)) {
    server_.threads[async::IoThreads::current()]->live.insert(this);
}

Connection::~Connection() {
    server_.threads[async::IoThreads::current()]->live.erase(this);
}

void Connection::close_if_idle() {
    if (idle_ && stream_) stream_->close();
}

void Connection::close() {
    if (stream_) stream_->close();
}

void Connection::consume(std::size_t bytes) {
    at_ += bytes;
    if (at_ < input_.size()) return;
    at_ = 0;
    if (input_.capacity() > 1024)
        input_ = std::string();  // an idle connection keeps no buffer
    else
        input_.clear();
}

asio::awaitable<void> Connection::serve() {
    for (;;) {
        const auto size = co_await read_head();
        if (size == 0) break;
        const auto next = co_await exchange(size);
        if (next == Next::keep) continue;
        if (next == Next::linger) co_await linger();
        break;
    }
    close();
}

// False: the end of the stream, or the deadline.
asio::awaitable<bool> Connection::read_more() {
    for (;;) {
        const auto buffer = net::read_buffer();
        const auto got = stream_->try_read(buffer);
        if (got.state == IoState::ok) {
            input_.erase(0, at_);
            at_ = 0;
            input_.append(buffer.data(), got.bytes);
            co_return true;
        }
        if (got.state == IoState::closed || stream_->timed_out()) co_return false;
        if (!co_await stream_->readable()) co_return false;
    }
}

// The size of the next request's head, or 0 when there will be none.
asio::awaitable<std::size_t> Connection::read_head() {
    idle_ = waiting().empty();
    if (idle_) {
        if (server_.draining && requests_ > 0) co_return 0;
        stream_->set_deadline(Clock::now() + (requests_ == 0 ? kHeaderDeadline : kIdleDeadline),
                              OnDeadline::close);
        if (!co_await read_more()) co_return 0;
    }
    idle_ = false;
    stream_->set_deadline(Clock::now() + kHeaderDeadline, OnDeadline::cancel_waits);
    std::size_t scanned = 0;
    bool skipped_line = false;
    for (;;) {
        // RFC 9112 2.2: an empty line before the request is ignored, once.
        if (!skipped_line && waiting().starts_with("\r\n")) {
            skipped_line = true;
            consume(2);
        }
        if (!waiting().empty() && waiting() != "\r") {
            const auto end = find_head_end(waiting(), scanned);
            if (end.state == HeadEnd::State::found) co_return end.size;
            if (end.state == HeadEnd::State::refused) {
                co_await refuse(end.fault, std::string(waiting()));
                co_return 0;
            }
        }
        if (co_await read_more()) continue;
        if (stream_->is_open() && stream_->timed_out()) co_await refuse(kTimeout, std::string(waiting()));
        co_return 0;
    }
}

asio::awaitable<Connection::Next> Connection::exchange(std::size_t head_size) {
    Exchange now{Clock::now(), "malformed", "other", "", {}};
    std::string head_bytes(waiting().substr(0, head_size));
    consume(head_size);
    ++requests_;
    auto parsed = parse_head(head_bytes);
    if (const auto* fault = std::get_if<Fault>(&parsed)) {
        co_await refuse(*fault, std::move(head_bytes));
        co_return Next::over;
    }
    auto& head = std::get<Head>(parsed);
    auto request = make_request(head, server_, *stream_);
    now.request_id = request.request_id;
    now.method = known_method(head.method);

    AnswerContext context;
    context.request_id = now.request_id;
    context.secure = request.secure;
    context.vary_origin = !server_.options.cors_origins.empty();
    context.head_only = head.method == "HEAD";
    context.http_1_0 = head.http_1_0;
    context.close = !head.keep_alive || requests_ >= kMaxRequestsPerConnection;
    const auto origin = origin_of(head, server_.options);
    context.origin = origin;

    Plan plan;
    const auto upgrade = server_.upgrades.find(request.path);
    if (upgrade == server_.upgrades.end()) {
        plan = plan_request(server_, head, request);
    } else if (head.method == "GET" && head.upgrade_websocket && !head.has_body()) {
        plan = plan_upgrade(server_, request);
        if (!plan.refusal) {
            now.operation = "websocket";
            now.span = begin_span(server_, head, request.path);
            request.headers = std::move(head.headers);
            std::string leftover(waiting());
            stream_->set_deadline(Clock::time_point::max(), OnDeadline::close);
            record(now, upgrade->second(std::move(request), std::move(stream_), std::move(leftover)));
            co_return Next::over;
        }
    } else {
        plan = plan_without_upgrade(head, now.request_id);
    }
    now.operation = plan.operation;
    // A flood that is refused must not fill the collector.
    if (!plan.refusal || plan.refusal->status != kTooManyRequests)
        now.span = begin_span(server_, head, plan.route ? plan.route->path : "");
    const std::uint64_t body_limit = plan.route ? plan.route->body_limit : 0;
    request.headers = std::move(head.headers);

    bool unread = false;
    if (head.has_body()) {
        if (plan.refusal) {
            unread = !skip_unread_body(head);
        } else {
            Fault fault;
            const bool read =
                co_await read_body(head, std::move(head_bytes), body_limit, request.body, fault);
            if (!read && fault.code.empty()) co_return Next::over;
            if (!read) {
                unread = true;
                plan.refusal = problem_reply(fault, now.request_id);
            }
        }
    }
    Reply reply;
    if (plan.refusal) {
        reply = std::move(*plan.refusal);
    } else {
        stream_->set_deadline(Clock::now() + kRequestDeadline, OnDeadline::close);
        reply = co_await run_route(server_, *plan.route, std::move(request), now.span.context());
    }
    add_rate_headers(reply, plan.verdict);
    if (now.span) reply.headers.emplace_back("traceparent", trace::format_traceparent(now.span.context()));
    context.close = context.close || unread || server_.draining;
    record(now, reply.status);
    if (!co_await send(std::move(reply), context)) co_return Next::over;
    if (!context.close) co_return Next::keep;
    co_return Next::linger;
}

// A refused request's body that has come with its head is skipped; one that has not is the end of the
// connection.
bool Connection::skip_unread_body(const Head& head) {
    if (head.chunked || head.expects_continue || *head.content_length > waiting().size()) return false;
    consume(static_cast<std::size_t>(*head.content_length));
    return true;
}

// False with a fault: refuse; false without: the client is gone.
asio::awaitable<bool> Connection::read_body(const Head& head, std::string head_bytes, std::uint64_t limit,
                                            std::string& body, Fault& fault) {
    BodyReader reader(head_bytes, head, limit);
    head_bytes = std::string();
    if (head.expects_continue && waiting().empty()) {
        const std::array<iovec, 1> parts = {part(kContinue)};
        stream_->set_deadline(Clock::now() + kWriteDeadline, OnDeadline::close);
        if (!co_await stream_->write_all(parts)) co_return false;
    }
    const auto expected = head.content_length.value_or(limit);
    stream_->set_deadline(Clock::now() + kBodyGrace + std::chrono::seconds(expected / kMinBodyRate),
                          OnDeadline::cancel_waits);
    for (;;) {
        std::size_t used = 0;
        const auto state = reader.feed(waiting(), used);
        consume(used);
        if (state == BodyReader::State::done) {
            body = reader.take();
            co_return true;
        }
        if (state == BodyReader::State::refused) {
            fault = reader.fault();
            co_return false;
        }
        if (co_await read_more()) continue;
        if (stream_->is_open() && stream_->timed_out()) fault = kTimeout;
        co_return false;
    }
}

// A request that could not be read: its problem is the last thing said here.
asio::awaitable<void> Connection::refuse(Fault fault, std::string head_bytes) {
    const auto head = fields_of_refused(head_bytes);
    Exchange now{Clock::now(), "malformed", "other", request_id_of(head), {}};
    const auto origin = origin_of(head, server_.options);
    AnswerContext context;
    context.request_id = now.request_id;
    context.origin = origin;
    context.vary_origin = !server_.options.cors_origins.empty();
    context.secure = stream_->secure();
    context.close = true;
    record(now, fault.status);
    auto reply = problem_reply(fault, now.request_id);
    if (co_await send(std::move(reply), context)) co_await linger();
}

asio::awaitable<bool> Connection::send(Reply reply, AnswerContext context) {
    const auto head = answer_head(reply, context);
    const bool with_body = !context.head_only && reply.status != 204 && reply.status != 304;
    const std::array<iovec, 2> parts = {part(head), part(with_body ? std::string_view(reply.body) : "")};
    stream_->set_deadline(Clock::now() + kWriteDeadline, OnDeadline::close);
    co_return co_await stream_->write_all(parts);
}

// Closing with unread bytes in the socket would reset the connection and take our answer with it.
asio::awaitable<void> Connection::linger() {
    stream_->shutdown_write();
    stream_->set_deadline(Clock::now() + kLinger, OnDeadline::close);
    input_ = std::string();
    at_ = 0;
    for (std::size_t discarded = 0; discarded < kMaxDiscarded;) {
        const auto got = stream_->try_read(net::read_buffer());
        if (got.state == IoState::closed) co_return;
        discarded += got.bytes;
        if (got.state == IoState::would_block && !co_await stream_->readable()) co_return;
    }
}

void Connection::record(Exchange& done, int status) const {
    const auto seconds = std::chrono::duration<double>(Clock::now() - done.begun).count();
    const_cast<RequestMetrics&>(server_.metrics).count(done.operation, done.method, status, seconds);
    if (done.span) {
        done.span.set("http.response.status_code", status);
        if (status >= 500) done.span.fail(std::to_string(status));
    }
    if (!server_.options.access_log) return;
    if (done.span) {
        base::log::info("request", {{"request_id", done.request_id},
                                    {"trace_id", trace::text_of(done.span.context().trace)},
                                    {"operation", done.operation},
                                    {"method", done.method},
                                    {"status", status},
                                    {"duration_ms", seconds * 1000}});
        return;
    }
    base::log::info("request", {{"request_id", done.request_id},
                                {"operation", done.operation},
                                {"method", done.method},
                                {"status", status},
                                {"duration_ms", seconds * 1000}});
}

}  // namespace supd::http
