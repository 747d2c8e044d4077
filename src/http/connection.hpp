// One HTTP connection: its requests, one after the other, until it ends or is upgraded.
#pragma once

#include "answer.hpp"
#include "dispatch.hpp"
#include "head.hpp"
#include "server_state.hpp"

#include <supd/net/stream.hpp>

#include <memory>
#include <string>
#include <variant>

namespace supd::http {

class Connection {
public:
    Connection(ServerState& server, std::unique_ptr<net::Stream> stream);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    asio::awaitable<void> serve();

    /// From other code of the same io thread.
    void close_if_idle();
    void close();

private:
    enum class Next { keep, linger, over };
    struct Exchange;

    std::string_view waiting() const { return std::string_view(input_).substr(at_); }
    void consume(std::size_t bytes);
    asio::awaitable<bool> read_more();
    asio::awaitable<std::size_t> read_head();
    asio::awaitable<Next> exchange(std::size_t head_size);
    asio::awaitable<bool> read_body(const Head& head, std::string head_bytes, std::uint64_t limit,
                                    std::string& body, Fault& fault);
    asio::awaitable<void> refuse(Fault fault, std::string head_bytes);
    asio::awaitable<bool> send(Reply reply, AnswerContext context);
    asio::awaitable<void> linger();
    bool skip_unread_body(const Head& head);
    void record(Exchange& done, int status) const;

    ServerState& server_;
    std::unique_ptr<net::Stream> stream_;
    std::string input_;
    std::size_t at_ = 0;
    std::size_t requests_ = 0;
    bool idle_ = true;
};

}  // namespace supd::http
