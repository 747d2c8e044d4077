#include "shard.hpp"

#include <supd/base/log.hpp>
#include <supd/http/refusal.hpp>
#include <supd/trace/tracer.hpp>
#include <supd/ws/endpoint.hpp>

#include <boost/asio/post.hpp>
#include <boost/beast/websocket/detail/hybi13.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>

namespace supd::ws {
namespace {

constexpr std::string_view kExtension = "permessage-deflate";

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

bool has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const auto end = std::min(list.find(','), list.size());
        if (lower(trimmed(list.substr(0, end))) == token) return true;
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return false;
}

/// True when one of the client's offers can be met: no context takeover on our side needs nothing from the
/// client, and a window bound by the client for us (server_max_window_bits below 15) is declined.
bool accepts_deflate(std::string_view offers) {
    while (!offers.empty()) {
        const auto end = std::min(offers.find(','), offers.size());
        auto offer = offers.substr(0, end);
        offers.remove_prefix(std::min(end + 1, offers.size()));
        const auto name_end = std::min(offer.find(';'), offer.size());
        if (lower(trimmed(offer.substr(0, name_end))) != kExtension) continue;
        bool ok = true;
        auto rest = offer.substr(std::min(name_end + 1, offer.size()));
        while (!rest.empty()) {
            const auto stop = std::min(rest.find(';'), rest.size());
            const auto param = lower(trimmed(rest.substr(0, stop)));
            rest.remove_prefix(std::min(stop + 1, rest.size()));
            if (param.starts_with("server_max_window_bits") && !param.ends_with("=15")) ok = false;
        }
        if (ok) return true;
    }
    return false;
}

asio::awaitable<void> write_and_close(std::unique_ptr<net::Stream> stream, std::string text) {
    const iovec part{text.data(), text.size()};
    const bool wrote = co_await stream->write_all(std::span<const iovec>(&part, 1));
    if (!wrote) co_return;
    stream->shutdown_write();
    stream->set_deadline(base::Monotonic::now() + std::chrono::seconds(2));
    while (co_await stream->read_some(net::read_buffer()) > 0) {
    }
}

}  // namespace

std::string retry_hint(int spread_ms) {
    static thread_local std::minstd_rand random(std::random_device{}());
    std::uniform_int_distribution<int> spread(0, std::max(1, spread_ms));
    return R"({"retry_after_ms":)" + std::to_string(spread(random)) + "}";
}

Endpoint::Endpoint(async::IoThreads& threads, Hub& hub, const http::Authenticator& authenticator,
                   const Commands& commands, EndpointOptions options)
    : hub_(hub), authenticator_(authenticator), commands_(commands), options_(std::move(options)) {
    for (std::size_t i = 0; i < threads.size(); ++i)
        shards_.push_back(std::make_unique<Shard>(threads.context(i)));
}

Endpoint::~Endpoint() = default;

Endpoint::Shard& Endpoint::here() {
    return *shards_[async::IoThreads::current()];
}

int Endpoint::upgrade(http::Request request, std::unique_ptr<net::Stream> stream, std::string leftover) {
    const auto refuse = [&](const base::Error& error) {
        auto executor = stream->executor();
        auto answer = http::refusal(error, request.request_id, stream->secure());
        here().tasks.spawn(executor, write_and_close(std::move(stream), std::move(answer)));
        return error.status();
    };
    const auto connection = request.header("connection").value_or("");
    const auto upgrade = request.header("upgrade").value_or("");
    const auto key = request.header("sec-websocket-key").value_or("");
    if (request.method != "GET" || !has_token(connection, "upgrade") || !has_token(upgrade, "websocket"))
        return refuse(base::Error(426, "upgrade_required", "This is a WebSocket endpoint.")
                          .with_header("Upgrade", "websocket"));
    if (request.header("sec-websocket-version").value_or("") != "13")
        return refuse(base::Error(426, "websocket_version", "Version 13 is spoken here.")
                          .with_header("Sec-WebSocket-Version", "13"));
    if (key.size() != 24 || !key.ends_with("=="))
        return refuse(base::bad_request("websocket_key", "Sec-WebSocket-Key is not a nonce of 16 bytes."));
    // A browser names its page's origin; other clients send none. A token is needed all the same.
    if (const auto origin = request.header("origin");
        origin && std::ranges::find(options_.origins, *origin) == options_.origins.end())
        return refuse(base::forbidden("This origin may not connect.", "origin_not_allowed"));
    if (draining_) return refuse(base::unavailable("restarting", "The server is restarting."));

    std::optional<http::Caller> caller;
    if (const auto authorization = request.header("authorization")) {
        try {
            if (!lower(authorization->substr(0, 7)).starts_with("bearer ")) throw base::unauthenticated();
            caller = authenticator_.authenticate(trimmed(authorization->substr(7)));
            admit(*caller);
        } catch (base::Error& error) {
            if (error.status() == 401)
                return refuse(std::move(error).with_header("WWW-Authenticate", "Bearer"));
            return refuse(error);
        }
    }

    const bool deflate =
        options_.compression && accepts_deflate(request.header("sec-websocket-extensions").value_or(""));
    boost::beast::websocket::detail::sec_ws_accept_type accept;
    boost::beast::websocket::detail::make_sec_ws_accept(accept, key);
    std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        std::string(accept.data(), accept.size()) + "\r\n";
    if (deflate)
        answer +=
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
            "client_no_context_takeover\r\n";
    answer += "X-Request-Id: " + request.request_id + "\r\n\r\n";

    stream->set_deadline(base::Monotonic::time_point::max());
    auto& shard = here();
    auto session = std::make_shared<Session>(*this, std::move(stream), deflate, next_socket_.fetch_add(1));
    shard.sessions.emplace(session->socket_id(), session);
    if (tracer_)
        if (const auto parent = trace::parent_of(request.headers))
            shard.parents.emplace(session->socket_id(), *parent);
    shard.count.store(shard.sessions.size(), std::memory_order_relaxed);
    session->queue_.push_back(Frame::raw(std::move(answer)));
    session->start(std::move(leftover), caller);
    tick(shard);
    return 101;
}

// Each connection costs the database a snapshot: one user's come out of the same budget as its requests.
void Endpoint::admit(const http::Caller& caller) const {
    if (limiter_) limiter_->require(http::Limit::api, http::RateLimiter::user_key(caller.user));
}

// Another socket must not be another budget.
void Endpoint::admit_write(const http::Caller& caller) const {
    if (limiter_ && options_.limit_commands)
        limiter_->require(http::Limit::message, http::RateLimiter::user_key(caller.user));
}

std::shared_ptr<trace::Span> Endpoint::begin_span(const Session& session, std::string_view command) {
    if (!tracer_) return nullptr;
    const auto& parents = here().parents;
    const auto at = parents.find(session.socket_id());
    const auto parent = at == parents.end() ? std::nullopt : std::optional(at->second);
    auto span = tracer_->begin(trace::Kind::server, "ws " + std::string(command), parent);
    return span ? std::make_shared<trace::Span>(std::move(span)) : nullptr;
}

// Runs only while the thread has sockets: a daemon at rest wakes for nothing.
void Endpoint::tick(Shard& shard) {
    if (shard.ticking || shard.sessions.empty()) return;
    shard.ticking = true;
    shard.tick.expires_after(kTick);
    shard.tick.async_wait([this, &shard](const boost::system::error_code& error) {
        shard.ticking = false;
        if (error) return;
        const auto now = base::Monotonic::now();
        std::vector<std::shared_ptr<Session>> due;  // on_tick may end a session, which changes the table
        std::size_t frames = 0, bytes = 0;
        for (const auto& [id, session] : shard.sessions) {
            frames += session->queue_.size() - session->head_;
            bytes += session->queue_bytes_;
            if (session->due(now)) due.push_back(session);
        }
        shard.queued_frames.store(frames, std::memory_order_relaxed);
        shard.queued_bytes.store(bytes, std::memory_order_relaxed);
        for (const auto& session : due)
            session->on_tick(now);
        tick(shard);
    });
}

void Endpoint::forget(Session& session) {
    auto& shard = here();
    if (session.authenticated())
        for (const auto& call : disconnected_)
            call(session.caller());
    shard.parents.erase(session.socket_id());
    shard.sessions.erase(session.socket_id());
    shard.count.store(shard.sessions.size(), std::memory_order_relaxed);
    if (shard.sessions.empty()) {  // the tick rests
        shard.queued_frames.store(0, std::memory_order_relaxed);
        shard.queued_bytes.store(0, std::memory_order_relaxed);
    }
    if (draining_ && shard.sessions.empty()) {
        const std::lock_guard lock(gone_mutex_);
        gone_.notify_all();
    }
}

void Endpoint::wait_closed(base::Monotonic::time_point until) {
    std::unique_lock lock(gone_mutex_);
    gone_.wait_until(lock, until, [this] { return sockets() == 0; });
}

void Endpoint::drain(int spread_ms) {
    draining_ = true;
    for (auto& one : shards_) {
        auto* shard = one.get();
        asio::post(shard->context, [shard, spread_ms] {
            std::vector<std::shared_ptr<Session>> all;
            for (const auto& [id, session] : shard->sessions)
                all.push_back(session);
            for (const auto& session : all)
                session->close(CloseCode::restart, retry_hint(spread_ms));
        });
    }
}

void Endpoint::stop() {
    draining_ = true;
    for (auto& one : shards_) {
        auto* shard = one.get();
        asio::post(shard->context, [shard] {
            std::vector<std::shared_ptr<Session>> all;
            for (const auto& [id, session] : shard->sessions)
                all.push_back(session);
            for (const auto& session : all)
                session->finish();
            shard->tick.cancel();
        });
    }
    for (auto& shard : shards_) {
        shard->tasks.cancel();
        shard->tasks.wait();
    }
}

std::size_t Endpoint::sockets() const noexcept {
    std::size_t sum = 0;
    for (const auto& shard : shards_)
        sum += shard->count.load(std::memory_order_relaxed);
    return sum;
}

Endpoint::Queued Endpoint::queued() const noexcept {
    Queued sum;
    for (const auto& shard : shards_) {
        sum.frames += shard->queued_frames.load(std::memory_order_relaxed);
        sum.bytes += shard->queued_bytes.load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace supd::ws
