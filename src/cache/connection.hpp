// One live stream to Redis: bytes out, replies in. Owned through shared_ptr; its thread is the stream's.
#pragma once

#include "resp.hpp"

#include <supd/net/stream.hpp>

#include <functional>
#include <memory>
#include <string>

namespace supd::cache {

namespace asio = boost::asio;

class Connection : public std::enable_shared_from_this<Connection> {
public:
    explicit Connection(std::shared_ptr<net::Stream> stream) : stream_(std::move(stream)) {}

    /// `reply` for each reply, `ended` once when the connection is lost; neither after close().
    void start(std::function<void(Reply)> reply, std::function<void()> ended);
    /// Queued, and written with what else is queued at the end of this turn of the loop.
    void write(std::string_view bytes);
    std::size_t unwritten() const noexcept { return out_.size() - written_; }
    void close();

private:
    void read_more();
    void read_now();
    void flush();
    void end();

    std::shared_ptr<net::Stream> stream_;
    Parser parser_;
    std::function<void(Reply)> reply_;
    std::function<void()> ended_;
    std::string out_;
    std::size_t written_ = 0;
    bool flush_posted_ = false;
    bool blocked_ = false;  // the socket takes nothing more for now
    bool open_ = true;
};

}  // namespace supd::cache
