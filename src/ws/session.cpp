#include "shard.hpp"

#include <supd/base/json.hpp>
#include <supd/base/json_text.hpp>
#include <supd/base/log.hpp>
#include <supd/trace/carrier.hpp>
#include <supd/trace/span.hpp>
#include <supd/ws/limits.hpp>
#include <supd/ws/session.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <typeinfo>
#include <utility>

namespace supd::ws {
namespace {

constexpr int kReadsPerTurn = 4;    // then others get their turn
constexpr int kMaxPipelined = 256;  // commands of one socket under way; beyond, its input waits
// How long caught_up waits for the resume of who authenticated by the header.
constexpr std::chrono::milliseconds kResumeWait{250};

}  // namespace

Session::Session(Endpoint& endpoint, std::unique_ptr<net::Stream> stream, bool deflate,
                 std::uint64_t socket_id)
    : endpoint_(endpoint),
      stream_(std::move(stream)),
      decoder_(deflate),
      socket_id_(socket_id),
      deflate_(deflate),
      last_read_(base::Monotonic::now()),
      deadline_(last_read_ + endpoint.options_.authenticate_timeout),
      tokens_(endpoint.options_.command_burst),
      tokens_at_(last_read_) {
    decoder_.limit_messages(kMaxFirstMessage);
}

Session::~Session() = default;

void Session::start(std::string leftover, std::optional<http::Caller> caller) {
    const auto& options = endpoint_.options_;
    std::string hello = R"({"type":"hello","data":{"server":)";
    base::append_json_string(hello, options.server_name);
    hello += R"(,"version":)";
    base::append_json_string(hello, options.version);
    hello += R"(,"protocol":1,"heartbeat_s":)" + std::to_string(options.heartbeat.count());
    hello += R"(,"limits":)" + options.limits_json + "}}";
    send_json(hello);
    if (caller) accept(*caller, "", std::nullopt, true);
    if (!leftover.empty()) consume(leftover);
    if (state_ != State::closed) read_more();
}

// -- reading
// ----------------------------------------------------------------------------------------------------

void Session::read_more() {
    if (reading_ || state_ == State::closed || !held_.empty()) return;
    reading_ = shared_from_this();
    stream_->when_readable([this](bool ok) { on_readable(ok); });
}

void Session::on_readable(bool ok) {
    const auto self = std::move(reading_);
    reading_.reset();
    if (state_ == State::closed) return;
    if (!ok) return finish();
    auto& shard = endpoint_.here();
    for (int turn = 0; turn < kReadsPerTurn && state_ != State::closed && held_.empty(); ++turn) {
        const auto got = stream_->try_read(shard.buffer);
        if (got.state == net::IoState::closed) return finish();
        if (got.state == net::IoState::would_block) break;
        last_read_ = base::Monotonic::now();
        ping_sent_ = false;
        consume(std::span(shard.buffer.data(), got.bytes));
        if (got.bytes < shard.buffer.size())
            break;  // drained; a wait re-arms, so there is no need to see EAGAIN
    }
    if (state_ != State::closed) read_more();
}

void Session::consume(std::span<char> data) {
    while (state_ != State::closed) {
        if (blocked_ || pipelined_ >= kMaxPipelined || waiting_ordered_) {
            held_.append(data.data(), data.size());
            return;
        }
        const auto event = decoder_.next(data);
        if (event.kind == FrameDecoder::Kind::need_more) return;
        on_event(event);
    }
}

void Session::on_event(const FrameDecoder::Event& event) {
    switch (event.kind) {
        case FrameDecoder::Kind::need_more:
            return;
        case FrameDecoder::Kind::text:
            if (state_ == State::open) on_text(event.payload);
            return;
        case FrameDecoder::Kind::ping:
            if (state_ != State::open) return;
            if (!take_token()) return;
            queue_.push_back(Frame::control(kPongOpcode, event.payload));
            schedule_flush();
            return;
        case FrameDecoder::Kind::pong:
            return;
        case FrameDecoder::Kind::close:
            close(CloseCode::normal, "");  // unless this is the answer to ours
            flush();
            if (queue_.empty()) stream_->shutdown_write();  // TLS says so, too
            return finish();
        case FrameDecoder::Kind::fault:
            return close(event.fault, "");
    }
}

bool Session::take_token() {
    const auto& options = endpoint_.options_;
    if (!options.limit_commands) return true;
    const auto now = base::Monotonic::now();
    const double passed = std::chrono::duration<double>(now - tokens_at_).count();
    tokens_ = std::min(options.command_burst, tokens_ + passed * options.commands_per_second);
    tokens_at_ = now;
    if (tokens_ >= 1) {
        tokens_ -= 1;
        refusals_ = std::max(0, refusals_ - 1);
        return true;
    }
    if (++refusals_ > kMaxRefusals) close(CloseCode::rate_limited, "too many frames");
    return false;
}

void Session::on_text(std::string_view text) {
    std::string ref;
    const bool admitted = take_token();
    if (state_ != State::open) return;
    try {
        auto document = std::make_shared<nlohmann::json>(base::parse_json(text));
        base::ObjectReader in(*document);
        const auto type = in.text("type", {1, kMaxType});
        ref = in.maybe_text("ref", {0, kMaxRef}).value_or("");
        const auto* data = in.raw("data");
        if (data && !data->is_object()) in.fail("data", "wrong_type", "An object is expected.");
        in.finish();
        if (!admitted)
            throw base::Error(429, "rate_limited", "Too many frames; slow down.")
                .with_header("Retry-After", "1");
        if (type == "ping") {
            if (data) base::ObjectReader(*data).finish();
            std::string pong = R"({"type":"pong")";
            if (!ref.empty()) {
                pong += R"(,"ref":)";
                base::append_json_string(pong, ref);
            }
            send_json(pong + "}");
        } else if (type == "authenticate") {
            authenticate(ref, data ? *data : nlohmann::json::object());
        } else if (!caller_) {
            send_error(ref, base::unauthenticated());
            close(CloseCode::unauthenticated, "authenticate first");
        } else if (type == "resume") {
            if (!resume_allowed_ && !resync_)
                throw base::conflict("not_now", "resume comes first, right after authenticated.");
            const auto empty = nlohmann::json::object();
            base::ObjectReader resume(data ? *data : empty);
            auto cursor = resume.text("cursor", {1, kMaxCursor});
            resume.finish();
            if (resync_) endpoint_.admit(*caller_);
            resume_allowed_ = resync_ = false;
            superseded_ = catching_up_;
            end_resume_wait();
            auto self = shared_from_this();
            endpoint_.here().tasks.spawn(stream_->executor(), catch_up(self, ref, std::move(cursor)));
        } else {
            resume_allowed_ = false;
            end_resume_wait();
            run_command(type, ref, document);
        }
    } catch (const base::Error& error) {
        if (state_ == State::open) send_error(ref, error);
    }
}

void Session::authenticate(const std::string& ref, const nlohmann::json& data) {
    if (caller_) throw base::conflict("already_authenticated", "This socket is authenticated.");
    base::ObjectReader in(data);
    const auto token = in.text("token", {1, kMaxToken});
    auto cursor = in.maybe_text("cursor", {1, kMaxCursor});
    in.finish();
    try {
        const auto caller = endpoint_.authenticator_.authenticate(token);
        endpoint_.admit(caller);
        accept(caller, ref, std::move(cursor), false);
    } catch (const base::Error& error) {
        send_error(ref, error);
        close(error.status() == 429 ? CloseCode::rate_limited : CloseCode::unauthenticated, error.code());
    }
}

void Session::accept(http::Caller caller, const std::string& ref, std::optional<std::string> cursor,
                     bool resume_follows) {
    caller_ = caller;
    decoder_.limit_messages(kMaxMessageBytes);
    deadline_ = base::Monotonic::time_point::max();
    welcome_ = R"({"type":"authenticated",)";
    if (!ref.empty()) {
        welcome_ += R"("ref":)";
        base::append_json_string(welcome_, ref);
        welcome_ += ',';
    }
    welcome_ += R"("data":{"user_id":")" + caller.user.text() + R"(","device_id":")" + caller.device.text() +
                R"(","session_id":")" + caller.session.text() + R"("}})";
    auto self = shared_from_this();
    endpoint_.hub_.attach(self);
    for (const auto& call : endpoint_.connected_)
        call(self);
    resume_allowed_ = resume_awaited_ = resume_follows;
    endpoint_.here().tasks.spawn(stream_->executor(), catch_up(self, ref, std::move(cursor)));
}

void Session::welcome() {
    if (!welcome_.empty()) send_json(std::exchange(welcome_, {}));
}

// The snapshot stands already, so that nothing of what happens meanwhile is missed by who has no cursor. One
// must not be handed out before: stored, it would pass over what the resume is to bring.
asio::awaitable<bool> Session::settled() {
    if (resume_awaited_) {
        asio::steady_timer timer(stream_->executor(), kResumeWait);
        resume_timer_ = &timer;
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        resume_timer_ = nullptr;
        resume_awaited_ = false;
    }
    co_return open() && !superseded_;
}

void Session::end_resume_wait() {
    resume_awaited_ = false;
    if (resume_timer_) resume_timer_->cancel();
}

asio::awaitable<void> Session::catch_up(std::shared_ptr<Session> self, std::string ref,
                                        std::optional<std::string> cursor) {
    while (catching_up_ &&
           open())  // a resume that follows the header's authentication waits for the first run
        co_await wait_in(&catch_up_waiters_);
    if (!open()) co_return;
    catching_up_ = true;
    superseded_ = false;
    if (hub.live || hub.held) {  // such a resume: hold live events back again, from another snapshot
        endpoint_.hub_.detach(*this);
        endpoint_.hub_.attach(self);
    }
    std::optional<base::Error> refused;
    try {
        co_await endpoint_.catch_up_(self, std::move(cursor));
    } catch (const base::Error& error) {
        refused = error;
    } catch (const std::exception& error) {
        base::log::error("catch_up_failed", {{"kind", typeid(error).name()}});
        refused = base::Error(500, "internal", "Something went wrong on our side.");
    }
    catching_up_ = false;
    wake(catch_up_waiters_);
    if (!refused || !open()) co_return;
    send_error(ref, *refused);
    if (refused->status() < 500)
        close(CloseCode::forbidden, refused->code());
    else
        close(CloseCode::restart, retry_hint(kRetrySpreadMs));
}

void Session::note_own(base::ChatId chat, std::int64_t seq) {
    const std::pair entry(chat, seq);
    if (std::ranges::find(hub.own, entry) == hub.own.end()) hub.own.push_back(entry);
}

bool Session::take_own(base::ChatId chat, std::int64_t seq) {
    return !hub.own.empty() && std::erase(hub.own, std::pair(chat, seq)) > 0;
}

void Session::run_command(const std::string& type, const std::string& ref,
                          const std::shared_ptr<nlohmann::json>& document) {
    const auto* row = endpoint_.commands_.find(type);
    if (!row) throw base::bad_request("unknown_type", "There is no such command.");
    static const auto kNoData = std::make_shared<const nlohmann::json>(nlohmann::json::object());
    if (row->counted) endpoint_.admit_write(*caller_);
    auto at = document->find("data");
    auto data = at == document->end() || at->is_null()
                    ? kNoData
                    : std::shared_ptr<const nlohmann::json>(document, &*at);
    auto self = shared_from_this();
    Command command(self, *caller_, ref, std::move(data), endpoint_.begin_span(*this, row->type));
    if (row->pipelined) {
        ++pipelined_;
        auto done = [self] {
            --self->pipelined_;
            self->unblock();
        };
        try {
            row->pipelined(command, done);
        } catch (...) {
            --pipelined_;
            throw;
        }
        return;
    }
    auto start = [this, self, row, command] {
        blocked_ = true;
        endpoint_.here().tasks.spawn(trace::carry(stream_->executor(), command.trace()),
                                     run_ordered(self, row, command));
    };
    if (pipelined_ > 0)
        waiting_ordered_ = std::move(start);
    else
        start();
}

asio::awaitable<void> Session::run_ordered(std::shared_ptr<Session> self, const CommandRow* row,
                                           Command command) {
    std::optional<base::Error> refused;
    std::string answer;
    try {
        answer = co_await row->ordered(command);
    } catch (const base::Error& error) {
        refused = error;
    } catch (const std::exception& error) {
        base::log::error("command_failed", {{"operation", row->operation}, {"kind", typeid(error).name()}});
        refused = base::Error(500, "internal", "Something went wrong on our side.");
    }
    if (refused)
        command.refuse(*refused);
    else if (!answer.empty())
        self->send_ack(command.ref(), answer);
    self->blocked_ = false;
    self->unblock();
}

// Goes on where consume() stopped, once nothing that must come first is under way.
void Session::unblock() {
    if (state_ == State::closed || blocked_) return;
    if (waiting_ordered_) {
        if (pipelined_ > 0) return;
        auto start = std::move(waiting_ordered_);
        waiting_ordered_ = nullptr;
        start();
        return;
    }
    if (held_.empty() || pipelined_ >= kMaxPipelined) return;
    auto input = std::move(held_);
    held_ = std::string();
    consume(input);
    if (held_.empty()) read_more();
}

}  // namespace supd::ws
