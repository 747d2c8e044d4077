// The writing half of a session, and its end.
#include "shard.hpp"

#include <supd/base/json_text.hpp>
#include <supd/ws/session.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace supd::ws {
namespace {

constexpr std::chrono::seconds kCloseGrace{1};   // for the answer to our close frame; the tick adds up to one
constexpr std::chrono::seconds kWriteStall{30};  // a peer that takes nothing for so long is gone
constexpr std::size_t kMaxGather = 64;           // buffers in one writev

}  // namespace

// -- writing
// ----------------------------------------------------------------------------------------------------

void Session::send(FramePtr frame) {
    if (state_ != State::open) return;
    queue_bytes_ += frame->wire(deflate_).size();
    queue_.push_back(std::move(frame));
    schedule_flush();
}

bool Session::send_ephemeral(const FramePtr& frame) {
    if (!roomy()) return false;
    send(frame);
    return true;
}

void Session::send_latest(base::UserId about, FramePtr frame) {
    if (state_ != State::open) return;
    if (!latest_) {
        if (roomy()) return send(std::move(frame));
        latest_ = std::make_unique<Latest>();
    }
    latest_->insert_or_assign(about, std::move(frame));
    if (latest_->size() > kMaxLatest) schedule_flush();  // not here: closing changes the hub's tables
}

// Nothing waits beside a queue that has room.
bool Session::take_latest() {
    if (!latest_) return false;
    for (auto at = latest_->begin(); at != latest_->end() && roomy(); at = latest_->erase(at)) {
        queue_bytes_ += at->second->wire(deflate_).size();
        queue_.push_back(std::move(at->second));
    }
    if (latest_->empty()) latest_.reset();
    return head_ < queue_.size();
}

void Session::forget_latest(base::UserId about) {
    if (latest_ && latest_->erase(about) > 0 && latest_->empty()) latest_.reset();
}

void Session::send_ack(std::string_view ref, std::string_view data_json) {
    std::string out = R"({"type":"ack",)";
    if (!ref.empty()) {
        out += R"("ref":)";
        base::append_json_string(out, ref);
        out += ',';
    }
    out += R"("data":)";
    out += data_json;
    out += '}';
    send_json(out);
}

void Session::send_error(std::string_view ref, const base::Error& error) {
    std::string out = R"({"type":"error",)";
    if (!ref.empty()) {
        out += R"("ref":)";
        base::append_json_string(out, ref);
        out += ',';
    }
    out += R"("error":)" + base::problem_json(error, "") + "}";
    send_json(out);
}

void Session::schedule_flush() {
    if (flush_scheduled_ || (writing_ && !overflowing())) return;
    flush_scheduled_ = true;
    auto& shard = endpoint_.here();
    shard.dirty.push_back(shared_from_this());
    if (shard.flush_posted) return;
    shard.flush_posted = true;
    asio::post(shard.context, [&shard] {
        shard.flush_posted = false;
        std::vector<std::shared_ptr<Session>> batch;
        batch.swap(shard.dirty);
        for (const auto& session : batch) {
            session->flush_scheduled_ = false;
            session->flush();
        }
        if (shard.dirty.empty()) {  // keep the capacity
            batch.clear();
            shard.dirty.swap(batch);
        }
    });
}

bool Session::roomy() const {
    const auto& options = endpoint_.options_;
    return queue_.size() - head_ <= options.queue_frames / 2 && queue_bytes_ <= options.queue_bytes / 2;
}

bool Session::overflowing() const {
    const auto& options = endpoint_.options_;
    return state_ == State::open &&
           (queue_.size() - head_ > options.queue_frames || queue_bytes_ > options.queue_bytes ||
            (latest_ && latest_->size() > kMaxLatest));
}

// Too slow: what waits is lost to this socket, but the cursor resumes it all. What the blocked write was
// offered stays: one frame may be half written, and TLS has encrypted the beginning already.
void Session::give_up_queue() {
    queue_.resize(std::min(queue_.size(), head_ + kMaxGather));
    queue_bytes_ = 0;
    close(CloseCode::too_slow, "too slow, resume");
}

void Session::flush() {
    if (state_ == State::closed) return;
    if (writing_) {  // the socket takes nothing: only the cap is to be kept
        if (overflowing()) give_up_queue();
        return;
    }
    while (head_ < queue_.size() || take_latest()) {
        iovec parts[kMaxGather];
        std::size_t count = 0;
        std::size_t offset = head_offset_;
        for (std::size_t i = head_; i < queue_.size() && count < kMaxGather; ++i) {
            const auto wire = queue_[i]->wire(deflate_).substr(offset);
            offset = 0;
            parts[count].iov_base = const_cast<char*>(wire.data());  // iovec is not const
            parts[count].iov_len = wire.size();
            ++count;
        }
        const auto wrote = stream_->try_write(std::span<const iovec>(parts, count));
        if (wrote.state == net::IoState::closed) return finish();
        if (wrote.bytes > 0) last_write_ = base::Monotonic::now();
        std::size_t left = wrote.bytes;
        while (left > 0) {
            const auto size = queue_[head_]->wire(deflate_).size() - head_offset_;
            if (left < size) {
                head_offset_ += left;
                break;
            }
            left -= size;
            head_offset_ = 0;
            queue_bytes_ -= std::min(queue_bytes_, queue_[head_]->wire(deflate_).size());
            queue_[head_++].reset();
        }
        if (wrote.state == net::IoState::would_block) break;
    }
    if (head_ == queue_.size()) {
        queue_.clear();
        if (queue_.capacity() > 16) queue_.shrink_to_fit();
        head_ = 0;
        queue_bytes_ = 0;
    } else if (head_ > 1024) {
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
    if (roomy() && !room_waiters_.empty()) wake(room_waiters_);
    if (queue_.empty()) {
        if (state_ == State::closing) deadline_ = std::min(deadline_, base::Monotonic::now() + kCloseGrace);
        // Who can still be heard answers our close frame and is waited for: a proxy that saw the stream end
        // would close both sides at once, and a client that was writing would lose the frame with its reason.
        if (state_ == State::closing && decoder_.failed()) stream_->shutdown_write();
        return;
    }
    take_latest();
    if (overflowing()) give_up_queue();
    if (queue_.size() == head_) return;
    writing_ = shared_from_this();
    last_write_ = base::Monotonic::now();
    stream_->when_writable([this](bool ok) { on_writable(ok); });
}

void Session::on_writable(bool ok) {
    const auto self = std::move(writing_);
    writing_.reset();
    if (state_ == State::closed) return;
    if (!ok) return finish();
    flush();
}

asio::awaitable<void> Session::wait_in(Waiters* waiters) {
    auto start = [this, waiters](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        waiters->push_back(
            [shared, executor = stream_->executor()] { asio::post(executor, std::move(*shared)); });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
}

void Session::wake(Waiters& waiters) {
    const auto calls = std::exchange(waiters, {});
    for (const auto& call : calls)
        call();
}

asio::awaitable<bool> Session::room() {
    if (open() && !roomy()) co_await wait_in(&room_waiters_);
    co_return open();
}

// -- ending
// -----------------------------------------------------------------------------------------------------

void Session::close(CloseCode code, std::string_view reason) {
    if (state_ != State::open) {  // the daemon stops: there is no time to wait for a slow one
        deadline_ = std::min(deadline_, base::Monotonic::now() + kCloseGrace);
        return;
    }
    if (endpoint_.closed_) endpoint_.closed_(static_cast<unsigned>(code));
    std::string payload;
    payload += static_cast<char>(static_cast<unsigned>(code) >> 8);
    payload += static_cast<char>(static_cast<unsigned>(code) & 0xFF);
    payload += reason.substr(0, kMaxControlBytes - 2);
    queue_.push_back(Frame::control(kCloseOpcode, payload));
    latest_.reset();
    state_ = State::closing;
    // Who is too slow reads again some day: it is to find the close frame behind what its socket holds.
    deadline_ = base::Monotonic::now() + (code == CloseCode::too_slow ? kWriteStall : kCloseGrace);
    if (hub.attached) endpoint_.hub_.detach(*this);
    wake(room_waiters_);
    schedule_flush();
}

void Session::finish() {
    if (state_ == State::closed) return;
    const auto self = shared_from_this();
    if (state_ == State::open && endpoint_.closed_) endpoint_.closed_(Endpoint::kNoCloseFrame);
    state_ = State::closed;
    if (hub.attached) endpoint_.hub_.detach(*this);
    stream_->close();
    queue_.clear();
    latest_.reset();
    head_ = 0;
    waiting_ordered_ = nullptr;
    wake(room_waiters_);
    endpoint_.forget(*this);
}

bool Session::due(base::Monotonic::time_point now) const {
    return now >= deadline_ || now - last_read_ > endpoint_.options_.heartbeat ||
           (writing_ && now - last_write_ > kWriteStall);
}

void Session::on_tick(base::Monotonic::time_point now) {
    if (now >= deadline_) {
        if (state_ == State::open) return close(CloseCode::unauthenticated, "not authenticated in time");
        return finish();
    }
    if (writing_ && now - last_write_ > kWriteStall) return finish();
    if (state_ != State::open) return;
    const auto silent = now - last_read_;
    if (silent > endpoint_.options_.idle_timeout)
        return finish();  // the peer is gone: nobody would read a close frame
    if (silent > endpoint_.options_.heartbeat && !ping_sent_) {
        static const auto kPing = Frame::control(kPingOpcode, "");
        ping_sent_ = true;
        queue_.push_back(kPing);
        schedule_flush();
    }
}

}  // namespace supd::ws
