#include "cli.hpp"
#include "commands.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <iostream>

namespace supd::app {
namespace asio = boost::asio;
using asio::ip::tcp;
namespace {

constexpr std::chrono::seconds kTimeout{3};

// Asks and waits for the first line of the answer; empty when there is none in time.
std::string first_line(const tcp::endpoint& server, const std::string& path) {
    asio::io_context context;
    tcp::socket socket(context);
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    std::string answer;
    bool complete = false;
    const auto on_line = [&](const boost::system::error_code& ec, std::size_t size) {
        complete = !ec;
        answer.resize(complete ? size : 0);
    };
    const auto on_written = [&](const boost::system::error_code& ec, std::size_t) {
        if (!ec) asio::async_read_until(socket, asio::dynamic_buffer(answer, 4096), "\r\n", on_line);
    };
    socket.async_connect(server, [&](const boost::system::error_code& ec) {
        if (!ec) asio::async_write(socket, asio::buffer(request), on_written);
    });
    context.run_for(kTimeout);
    return complete ? answer : "";
}

asio::ip::address reachable(const std::string& host) {
    auto address = asio::ip::make_address(host);
    if (!address.is_unspecified()) return address;
    if (address.is_v6()) return asio::ip::address_v6::loopback();
    return asio::ip::address_v4::loopback();
}

}  // namespace

int healthcheck(const Config& config, bool ready) {
    const bool by_admin = !config.tls.certificate.empty();
    const auto& host = by_admin ? config.server.admin_host : config.server.host;
    const auto port = static_cast<std::uint16_t>(by_admin ? config.server.admin_port : config.server.port);
    if (port == 0) {
        std::cerr << "supd: the port is 0 (any free one): name the one in use with --port\n";
        return kExitUsage;
    }
    const std::string line = first_line({reachable(host), port}, ready ? "/readyz" : "/livez");
    if (line.starts_with("HTTP/1.1 200")) return kExitOk;
    std::cerr << "supd: not " << (ready ? "ready" : "alive") << " on port " << port
              << (line.empty() ? ": no answer" : ": " + line.substr(0, line.find('\r'))) << "\n";
    return kExitFailed;
}

}  // namespace supd::app
