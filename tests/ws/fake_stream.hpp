// A connection without a socket: the test is the peer, decides how much it takes, and reads what was written.
#pragma once

#include <supd/net/stream.hpp>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace supd::ws::testing_ {

/// The far end. Lives as long as anybody looks at it, also after the stream has gone.
struct Peer {
    std::string got;
    std::size_t room = SIZE_MAX;  ///< bytes that it still takes
    bool ended = false;           ///< the stream was shut or closed
    std::string said;             ///< not read by the stream yet
    bool hung_up = false;

    std::function<void()> on_bytes;  ///< after each write, on the stream's thread

    std::function<void(bool)> on_readable, on_writable;

    void say(const std::string& bytes) {
        said += bytes;
        wake(on_readable, true);
    }
    void hang_up() {
        hung_up = true;
        wake(on_readable, true);
    }
    void take(std::size_t bytes) {
        room = bytes;
        wake(on_writable, true);
    }
    static void wake(std::function<void(bool)>& call, bool ok) {
        if (auto once = std::exchange(call, nullptr)) once(ok);
    }
};

class FakeStream final : public net::Stream {
public:
    FakeStream(boost::asio::io_context& context, std::shared_ptr<Peer> peer)
        : context_(context), peer_(std::move(peer)) {}
    ~FakeStream() override { close(); }

    boost::asio::any_io_executor executor() override { return context_.get_executor(); }
    boost::asio::ip::address peer() const override { return {}; }
    bool secure() const noexcept override { return false; }

    net::IoResult try_read(std::span<char> into) override {
        if (!open_) return {net::IoState::closed, 0};
        if (peer_->said.empty())
            return {peer_->hung_up ? net::IoState::closed : net::IoState::would_block, 0};
        const auto n = std::min(into.size(), peer_->said.size());
        std::memcpy(into.data(), peer_->said.data(), n);
        peer_->said.erase(0, n);
        return {net::IoState::ok, n};
    }

    // As strict as TLS: bytes of a blocked write are encrypted already and must be offered again.
    net::IoResult try_write(std::span<const iovec> from) override {
        if (!open_ || peer_->ended) return {net::IoState::closed, 0};
        std::string offered;
        for (const auto& part : from)
            offered.append(static_cast<const char*>(part.iov_base), part.iov_len);
        EXPECT_TRUE(offered.starts_with(blocked_)) << "a blocked write goes on with other bytes";
        const auto n = std::min(offered.size(), peer_->room);
        if (n == 0 && !offered.empty()) {
            blocked_ = offered.substr(0, kRecord);
            return {net::IoState::would_block, 0};
        }
        blocked_.clear();
        peer_->got.append(offered, 0, n);
        if (peer_->room != SIZE_MAX) peer_->room -= n;
        if (peer_->on_bytes) peer_->on_bytes();
        return {net::IoState::ok, n};
    }

    void when_readable(std::function<void(bool)> call) override {
        wait(peer_->on_readable, std::move(call));
        if (!peer_->said.empty() || peer_->hung_up) Peer::wake(peer_->on_readable, true);
    }
    void when_writable(std::function<void(bool)> call) override {
        wait(peer_->on_writable, std::move(call));
        if (peer_->room > 0) Peer::wake(peer_->on_writable, true);
    }

    void set_deadline(std::chrono::steady_clock::time_point /*at*/, net::OnDeadline /*action*/) override {}
    bool timed_out() const noexcept override { return false; }
    void shutdown_write() override { peer_->ended = true; }
    void close() override {
        if (!std::exchange(open_, false)) return;
        peer_->ended = true;
        Peer::wake(peer_->on_readable, false);
        Peer::wake(peer_->on_writable, false);
    }
    bool is_open() const noexcept override { return open_; }

private:
    static constexpr std::size_t kRecord = 16 * 1024;

    void wait(std::function<void(bool)>& place, std::function<void(bool)> call) {
        EXPECT_FALSE(place) << "one wait at a time";
        place = [this, call = std::move(call)](bool ok) {
            boost::asio::post(context_, [call, ok] { call(ok); });
        };
    }

    boost::asio::io_context& context_;
    std::shared_ptr<Peer> peer_;
    std::string blocked_;
    bool open_ = true;
};

}  // namespace supd::ws::testing_
