#include "connection.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace supd::cache {
namespace {

constexpr std::size_t kReadsPerTurn = 16;     // then others of this thread have their turn
constexpr std::size_t kKeptBuffer = 1 << 20;  // a larger one is given back once it is written

}  // namespace

void Connection::start(std::function<void(Reply)> reply, std::function<void()> ended) {
    reply_ = std::move(reply);
    ended_ = std::move(ended);
    read_more();
}

void Connection::read_more() {
    if (!open_) return;
    stream_->when_readable([self = shared_from_this()](bool ok) {
        if (ok)
            self->read_now();
        else
            self->end();
    });
}

void Connection::read_now() {
    for (std::size_t reads = 0; open_ && reads < kReadsPerTurn; ++reads) {
        const auto buffer = net::read_buffer();
        const auto got = stream_->try_read(buffer);
        if (got.state == net::IoState::closed) return end();
        if (got.state == net::IoState::would_block) break;
        try {
            parser_.feed(std::string_view(buffer.data(), got.bytes));
            while (open_) {
                auto reply = parser_.next();
                if (!reply) break;
                reply_(std::move(*reply));
            }
        } catch (const ProtocolFault&) {
            return end();
        }
    }
    read_more();
}

void Connection::write(std::string_view bytes) {
    if (!open_) return;
    out_ += bytes;
    if (flush_posted_ || blocked_) return;
    flush_posted_ = true;
    asio::post(stream_->executor(), [self = shared_from_this()] {
        self->flush_posted_ = false;
        self->flush();
    });
}

void Connection::flush() {
    while (open_ && written_ < out_.size()) {
        const iovec part{out_.data() + written_, out_.size() - written_};
        const auto put = stream_->try_write(std::span<const iovec>(&part, 1));
        if (put.state == net::IoState::closed) return end();
        written_ += put.bytes;
        if (put.state != net::IoState::would_block) continue;
        blocked_ = true;
        stream_->when_writable([self = shared_from_this()](bool ok) {
            self->blocked_ = false;
            if (ok)
                self->flush();
            else
                self->end();
        });
        return;
    }
    written_ = 0;
    out_.clear();
    if (out_.capacity() > kKeptBuffer) out_.shrink_to_fit();
}

void Connection::end() {
    if (!std::exchange(open_, false)) return;
    stream_->close();
    const auto ended = std::exchange(ended_, nullptr);
    if (ended) ended();
}

void Connection::close() {
    ended_ = nullptr;
    end();
}

}  // namespace supd::cache
