// A server on a free port of 127.0.0.1 and a blocking client that sends raw bytes.
#pragma once

#include <supd/http/server.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

namespace supd::http::testing_ {

class RawClient {
public:
    explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    }
    ~RawClient() { ::close(fd_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void send(std::string_view bytes) const { (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    void finish_writing() const { ::shutdown(fd_, SHUT_WR); }

    struct Answer {
        int status = 0;  ///< 0: the connection ended instead
        std::string head;
        std::string body;
        /// Value of a header, empty when absent.
        std::string header(const std::string& name) const {
            const auto at = head.find("\r\n" + name + ": ");
            if (at == std::string::npos) return "";
            const auto from = at + name.size() + 4;
            return head.substr(from, head.find("\r\n", from) - from);
        }
    };
    Answer read(bool head_only = false, int timeout_ms = 5000) {
        Answer out;
        std::size_t end;
        while ((end = kept_.find("\r\n\r\n")) == std::string::npos)
            if (!fill(timeout_ms)) return out;
        out.head = kept_.substr(0, end + 2);
        out.status = std::stoi(out.head.substr(9, 3));
        const auto length = out.header("Content-Length");
        const std::size_t size = head_only || length.empty() ? 0 : std::stoul(length);
        while (kept_.size() < end + 4 + size)
            if (!fill(timeout_ms)) break;
        out.body = kept_.substr(end + 4, size);
        kept_.erase(0, std::min(kept_.size(), end + 4 + size));
        return out;
    }
    /// Waits for the server's end of the stream; false when more bytes or nothing comes.
    bool closed(int timeout_ms = 5000) { return kept_.empty() && !fill(timeout_ms) && ended_; }

private:
    bool fill(int timeout_ms) {
        pollfd waiting{fd_, POLLIN, 0};
        if (::poll(&waiting, 1, timeout_ms) != 1) return false;
        char buffer[16384];
        const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
        if (n <= 0) {
            ended_ = true;
            return false;
        }
        kept_.append(buffer, static_cast<std::size_t>(n));
        return true;
    }

    int fd_;
    std::string kept_;
    bool ended_ = false;
};

class Loopback {
public:
    explicit Loopback(ServerOptions options = {}, ServerServices services = {}) {
        options.access_log = false;
        options_ = std::move(options);
        services_ = services;
    }
    ~Loopback() {
        server.reset();
        io.join();
    }

    /// After the routes are in.
    void start() {
        server = std::make_unique<Server>(io, router, options_, services_);
        for (auto& [path, handler] : upgrades)
            server->on_upgrade(path, handler);
        io.start();
        port = server->listen({});
    }
    RawClient::Answer ask(std::string_view bytes) {
        RawClient client(port);
        client.send(bytes);
        return client.read();
    }

    async::IoThreads io{2};
    Router router;
    std::vector<std::pair<std::string, UpgradeHandler>> upgrades;
    std::unique_ptr<Server> server;
    std::uint16_t port = 0;

private:
    ServerOptions options_;
    ServerServices services_;
};

}  // namespace supd::http::testing_
