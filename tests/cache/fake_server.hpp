// A server of one thread that speaks RESP2 as a test tells it to.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/cache/reply.hpp>

#include <arpa/inet.h>
#include <cache/resp.hpp>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace supd::cache {

using namespace std::chrono_literals;

/// Answers +PONG to each command, or what `answer` says, while `answers`; hears and says nothing else
/// otherwise.
class FakeServer {
public:
    using Answers = std::function<std::string(const Words&)>;

    explicit FakeServer(Answers answer = nullptr, const char* address = "127.0.0.1")
        : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        EXPECT_EQ(::inet_pton(AF_INET, address, &at.sin_addr), 1);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
        EXPECT_EQ(::listen(listener_, 16), 0);
        EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
        port = ntohs(at.sin_port);
        thread_ = std::thread([this] { turn(); });
    }
    ~FakeServer() {
        over_ = true;
        thread_.join();
        cut();
        ::close(listener_);
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    std::atomic<bool> answers{true};
    std::atomic<bool> cut_all{false};
    std::atomic<bool> cut_after_answer{false};
    std::atomic<int> accepted{0};
    std::uint16_t port = 0;

private:
    void cut() {
        for (const auto& [fd, parser] : clients_)
            ::close(fd);
        clients_.clear();
    }
    void turn() {
        while (!over_) {
            if (cut_all.exchange(false)) cut();
            std::vector<pollfd> all{{listener_, POLLIN, 0}};
            for (const auto& [fd, parser] : clients_)
                all.push_back({fd, POLLIN, 0});
            if (::poll(all.data(), all.size(), 5) <= 0) continue;
            if (all[0].revents != 0) {
                clients_[::accept(listener_, nullptr, nullptr)] = std::make_unique<Parser>();
                ++accepted;
            }
            for (std::size_t i = 1; i < all.size(); ++i)
                if (all[i].revents != 0 && answers && !hear(all[i].fd)) {
                    ::close(all[i].fd);
                    clients_.erase(all[i].fd);
                }
        }
    }
    // False: this connection is over.
    bool hear(int fd) {
        char buffer[65536];
        const auto got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got <= 0) return false;
        auto& parser = *clients_.at(fd);
        try {
            parser.feed({buffer, static_cast<std::size_t>(got)});
            while (const auto command = parser.next()) {
                Words words;
                for (const auto& item : command->items)
                    words.push_back(item.text);
                const auto said = answer_ ? answer_(words) : "+PONG\r\n";
                (void)!::send(fd, said.data(), said.size(), MSG_NOSIGNAL);
            }
        } catch (const ProtocolFault&) {
            (void)!::send(fd, "-ERR\r\n", 6, MSG_NOSIGNAL);
            return false;
        }
        return !cut_after_answer;
    }

    Answers answer_;
    int listener_;
    std::map<int, std::unique_ptr<Parser>> clients_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

/// A list of texts as RESP2 has it.
inline std::string list_of(const Words& words) {
    std::string out;
    append_command(out, words);
    return out;
}

/// What a server says to (S)SUBSCRIBE.
inline std::string confirmed(const Words& words) {
    std::string kind = words[0], out;
    for (auto& c : kind)
        c = static_cast<char>(c + ('a' - 'A'));
    for (std::size_t i = 1; i < words.size(); ++i)
        out += list_of({kind, words[i], "1"});
    return out;
}

/// One range of CLUSTER SLOTS; its master stands at `host`.
inline std::string slots_of(int from, int to, const std::string& host, int port) {
    return "*3\r\n:" + std::to_string(from) + "\r\n:" + std::to_string(to) + "\r\n*2\r\n$" +
           std::to_string(host.size()) + "\r\n" + host + "\r\n:" + std::to_string(port) + "\r\n";
}

inline bool comes(const std::function<bool()>& what, std::chrono::milliseconds patience = 10s) {
    const auto until = base::Monotonic::now() + patience;
    while (!what()) {
        if (base::Monotonic::now() > until) return false;
        std::this_thread::yield();
    }
    return true;
}

}  // namespace supd::cache
