#include "bare_fanout.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <deque>
#include <iostream>
#include <memory>
#include <vector>

namespace bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;
using Shared = std::shared_ptr<const std::string>;

class Session;

struct Room {
    std::vector<std::shared_ptr<Session>> sessions;
    std::uint64_t seq = 0;
};

class Session : public std::enable_shared_from_this<Session> {
public:
    Session(tcp::socket socket, Room& room) : ws_(std::move(socket)), room_(room) {}
    void start() {
        ws_.next_layer().set_option(tcp::no_delay(true));
        ws_.async_accept([self = shared_from_this()](beast::error_code error) {
            if (error) return;
            self->room_.sessions.push_back(self);
            self->read();
        });
    }
    void send(Shared frame) {
        queue_.push_back(std::move(frame));
        if (queue_.size() == 1) write();
    }

private:
    void read() {
        ws_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
            if (!error) self->on_read();
        });
    }
    void on_read() {
        const auto data = buffer_.cdata();
        const std::string_view request(static_cast<const char*>(data.data()), data.size());
        const std::uint64_t seq = ++room_.seq;
        const auto delivery = std::make_shared<const std::string>(bare_delivery(request, seq));
        const auto ack = std::make_shared<const std::string>(bare_ack(request, seq));
        for (const auto& session : room_.sessions)
            session->send(session.get() == this ? ack : delivery);
        buffer_.consume(buffer_.size());
        read();
    }
    void write() {
        ws_.text(true);
        ws_.async_write(asio::buffer(*queue_.front()),
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                            if (error) return;
                            self->queue_.pop_front();
                            if (!self->queue_.empty()) self->write();
                        });
    }

    beast::websocket::stream<tcp::socket> ws_;
    Room& room_;
    beast::flat_buffer buffer_;
    std::deque<Shared> queue_;
};

void accept(tcp::acceptor& acceptor, Room& room) {
    acceptor.async_accept([&](beast::error_code error, tcp::socket socket) {
        if (!error) std::make_shared<Session>(std::move(socket), room)->start();
        accept(acceptor, room);
    });
}

}  // namespace

void serve_bare_beast() {
    asio::io_context context(1);
    Room room;
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    std::cout << acceptor.local_endpoint().port() << std::endl;
    accept(acceptor, room);
    context.run();
    std::exit(0);
}

}  // namespace bench
