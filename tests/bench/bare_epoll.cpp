#include "bare_fanout.hpp"
#include "ws_load.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {
namespace {

struct Peer {
    int fd = -1;
    std::uint64_t seq = 0;  // of the pair, kept by its first peer
    bool upgraded = false;
    bool blocked = false;
    std::string in;
    std::string out;
};

class EpollRoom {
public:
    explicit EpollRoom(bool pairs)
        : pairs_(pairs),
          epoll_(epoll_create1(EPOLL_CLOEXEC)),
          listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (bind(listener_, generic, size) != 0 || listen(listener_, 1024) != 0 ||
            getsockname(listener_, generic, &size) != 0)
            throw std::runtime_error("listen");
        std::cout << ntohs(address.sin_port) << std::endl;
        watch(EPOLL_CTL_ADD, listener_, 0, EPOLLIN);
    }

    [[noreturn]] void serve() {
        for (;;) {
            std::array<epoll_event, 512> events;
            const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < n; ++i) {
                const std::uint32_t key = events[static_cast<std::size_t>(i)].data.u32;
                if (key == 0) {
                    accept_all();
                    continue;
                }
                Peer& peer = peers_[key - 1];
                if (events[static_cast<std::size_t>(i)].events & EPOLLOUT) {
                    peer.blocked = false;
                    watch(EPOLL_CTL_MOD, peer.fd, key, EPOLLIN);
                    write(key - 1);
                }
                if (events[static_cast<std::size_t>(i)].events & ~unsigned{EPOLLOUT}) read(key - 1);
            }
            for (const std::uint32_t i : dirty_)
                if (!peers_[i].blocked) write(i);
            dirty_.clear();
        }
    }

private:
    void watch(int how, int fd, std::uint32_t key, std::uint32_t what) {
        epoll_event event{};
        event.events = what;
        event.data.u32 = key;
        if (epoll_ctl(epoll_, how, fd, &event) != 0) throw std::runtime_error("epoll_ctl");
    }

    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            peers_.push_back(Peer{});
            peers_.back().fd = fd;
            watch(EPOLL_CTL_ADD, fd, static_cast<std::uint32_t>(peers_.size()), EPOLLIN);
        }
    }

    void read(std::uint32_t index) {
        Peer& peer = peers_[index];
        const ssize_t n = recv(peer.fd, chunk_.data(), chunk_.size(), 0);
        if (n <= 0) std::exit(0);  // the benchmark has ended
        peer.in.append(chunk_.data(), static_cast<std::size_t>(n));
        if (!peer.upgraded) {
            const std::size_t end = peer.in.find("\r\n\r\n");
            if (end == std::string::npos) return;
            peer.in.erase(0, end + 4);
            peer.upgraded = true;
            // The answer to the one key that the client of these benchmarks sends (RFC 6455 section 1.3).
            queue(index,
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" +
                      framed(R"({"type":"caught_up","data":{"cursor":""}})"));
        }
        while (take_frame(index))
            continue;
    }

    // Client frames here have 126 to 65,535 bytes: one header form.
    bool take_frame(std::uint32_t index) {
        Peer& peer = peers_[index];
        if (peer.in.size() < 8) return false;
        const auto* head = reinterpret_cast<const unsigned char*>(peer.in.data());
        if (head[0] != 0x81 || head[1] != 0xfe) throw std::runtime_error("unexpected frame");
        const std::size_t size = (std::size_t{head[2]} << 8U) | head[3];
        if (peer.in.size() < 8 + size) return false;
        std::uint32_t mask = 0;
        std::memcpy(&mask, peer.in.data() + 4, 4);
        request_.resize(size);
        mask_copy(request_.data(), peer.in.data() + 8, size, mask);
        peer.in.erase(0, 8 + size);
        if (pairs_) {
            Peer& other = peers_[index ^ 1U];
            const std::uint64_t seq = ++peers_[index & ~1U].seq;
            queue(index ^ 1U, framed(bare_delivery(request_, seq)));
            queue(index, framed(bare_ack(request_, seq)));
            return other.upgraded;
        }
        ++seq_;
        const std::string delivery = framed(bare_delivery(request_, seq_));
        for (std::uint32_t i = 0; i < peers_.size(); ++i)
            if (i != index && peers_[i].upgraded) queue(i, delivery);
        queue(index, framed(bare_ack(request_, seq_)));
        return true;
    }

    void queue(std::uint32_t index, const std::string& bytes) {
        if (peers_[index].out.empty()) dirty_.push_back(index);
        peers_[index].out.append(bytes);
    }

    static std::string framed(const std::string& payload) {
        std::string out = "\x81";
        if (payload.size() >= 126) {
            out += '\x7e';
            out += static_cast<char>(payload.size() >> 8U);
        }
        out += static_cast<char>(payload.size());
        return out + payload;
    }

    void write(std::uint32_t index) {
        Peer& peer = peers_[index];
        const ssize_t n = ::send(peer.fd, peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
        if (n > 0) peer.out.erase(0, static_cast<std::size_t>(n));
        if (!peer.out.empty()) {
            peer.blocked = true;
            watch(EPOLL_CTL_MOD, peer.fd, index + 1, EPOLLIN | EPOLLOUT);
        }
    }

    bool pairs_;
    int epoll_;
    int listener_;
    std::vector<Peer> peers_;
    std::vector<std::uint32_t> dirty_;
    std::vector<char> chunk_ = std::vector<char>(64U * 1024);
    std::string request_;
    std::uint64_t seq_ = 0;
};

}  // namespace

void serve_bare_epoll(bool pairs) {
    EpollRoom room(pairs);
    room.serve();
}

}  // namespace bench
