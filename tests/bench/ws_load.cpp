#include "ws_load.hpp"

#include "traffic.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <system_error>

namespace bench {
namespace {

constexpr std::size_t kReadSize = 256U * 1024;
constexpr std::size_t kHeadroom = 256U * 1024;  // largest unfinished frame that is carried over
constexpr unsigned kText = 1;
constexpr unsigned kClose = 8;
constexpr unsigned kPing = 9;
constexpr unsigned kPong = 10;
// The example key of RFC 6455 section 1.3: its answer is known, so the check is one comparison.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::int64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

void wake_on_time() {
    prctl(PR_SET_TIMERSLACK, 1);
}

void Handler::on_close(std::uint32_t connection, int code, std::string_view reason) {
    throw std::runtime_error("connection " + std::to_string(connection) +
                             " closed by the server: " + std::to_string(code) + " " + std::string(reason));
}

void mask_copy(char* to, const char* from, std::size_t size, std::uint32_t mask) {
    const std::uint64_t wide = (std::uint64_t{mask} << 32U) | mask;
    std::size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, from + i, 8);
        word ^= wide;
        std::memcpy(to + i, &word, 8);
    }
    for (; i < size; ++i)
        to[i] = static_cast<char>(static_cast<unsigned char>(from[i]) ^ (mask >> (8 * (i & 3U)) & 0xffU));
}

std::string_view frame_type(const char* data, std::size_t size) {
    static Finder finder("\"type\":\"");
    const char* at = finder.after(data, size);
    if (at == nullptr) return {};
    const void* end = std::memchr(at, '"', size - static_cast<std::size_t>(at - data));
    if (end == nullptr) return {};
    return {at, static_cast<std::size_t>(static_cast<const char*>(end) - at)};
}

Connections::Connections(std::uint16_t port, Handler& handler)
    : port_(port),
      handler_(handler),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      buffer_(new char[kHeadroom + kReadSize]) {
    if (epoll_ < 0) fail("epoll_create1");
}

Connections::~Connections() {
    close_all();
    ::close(epoll_);
}

void Connections::close_all() {
    for (Socket& socket : sockets_) {
        if (socket.fd >= 0) ::close(socket.fd);
        socket.fd = -1;
    }
    sockets_.clear();
    dirty_.clear();
    upgraded_ = 0;
}

std::uint32_t Connections::open(std::string_view token, std::uint16_t port) {
    const auto index = try_open(token, port);
    if (!index) fail("connect");
    return *index;
}

void Connections::drop(std::uint32_t connection) {
    Socket& socket = sockets_[connection];
    if (socket.fd >= 0) ::close(socket.fd);
    const bool dirty = socket.dirty;
    socket = Socket{};
    socket.dirty = dirty;  // flush() still has it in its list
}

std::optional<std::uint32_t> Connections::try_open(std::string_view token, std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        ::close(fd);
        errno = error;
        return std::nullopt;
    }
    const auto index = static_cast<std::uint32_t>(sockets_.size());
    Socket& socket = sockets_.emplace_back();
    socket.fd = fd;
    socket.mask = static_cast<std::uint32_t>(mix(index + 1)) | 1U;
    std::string request = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                          "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: ";
    request.append(kKey).append("\r\n");
    if (!token.empty()) request.append("Authorization: Bearer ").append(token).append("\r\n");
    request.append("\r\n");
    // Whoever was reset in the meantime is told by the first read.
    if (::send(socket.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size()) &&
        errno != ECONNRESET && errno != EPIPE)
        fail("send upgrade");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = index;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, socket.fd, &event) != 0) fail("epoll_ctl");
    return index;
}

void Connections::append(Socket& socket, unsigned opcode, const char* data, std::size_t size) {
    std::array<char, 14> head{};
    std::size_t n = 2;
    head[0] = static_cast<char>(0x80U | opcode);
    if (size < 126) {
        head[1] = static_cast<char>(0x80U | size);
    } else if (size <= 0xffff) {
        head[1] = static_cast<char>(0x80U | 126U);
        head[2] = static_cast<char>(size >> 8U);
        head[3] = static_cast<char>(size);
        n = 4;
    } else {
        head[1] = static_cast<char>(0x80U | 127U);
        for (unsigned i = 0; i < 8; ++i)
            head[2 + i] = static_cast<char>(std::uint64_t{size} >> (56U - 8 * i));
        n = 10;
    }
    std::memcpy(head.data() + n, &socket.mask, 4);
    socket.out.append(head.data(), n + 4);
    const std::size_t start = socket.out.size();
    socket.out.resize(start + size);
    mask_copy(socket.out.data() + start, data, size, socket.mask);
}

void Connections::send(std::uint32_t connection, const char* data, std::size_t size) {
    Socket& socket = sockets_[connection];
    append(socket, kText, data, size);
    if (!socket.dirty) {
        socket.dirty = true;
        dirty_.push_back(connection);
    }
}

void Connections::flush() {
    for (const std::uint32_t index : dirty_) {
        sockets_[index].dirty = false;
        if (!sockets_[index].wants_write) write(index);
    }
    dirty_.clear();
}

void Connections::write(std::uint32_t index) {
    Socket& socket = sockets_[index];
    if (socket.fd < 0) return;
    while (socket.sent < socket.out.size()) {
        const ssize_t n = ::send(socket.fd, socket.out.data() + socket.sent, socket.out.size() - socket.sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return watch(index, true);
            return lost(index, std::strerror(errno));
        }
        socket.sent += static_cast<std::size_t>(n);
    }
    socket.out.clear();
    socket.sent = 0;
    if (socket.wants_write) watch(index, false);
}

void Connections::watch(std::uint32_t index, bool writable) {
    Socket& socket = sockets_[index];
    if (socket.wants_write == writable) return;
    socket.wants_write = writable;
    epoll_event event{};
    event.events = writable ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = index;
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, socket.fd, &event) != 0) fail("epoll_ctl");
}

void Connections::poll(std::int64_t timeout_ns) {
    flush();
    std::array<epoll_event, 512> events;
    timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
    const int n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()),
                               timeout_ns < 0 ? nullptr : &timeout, nullptr);
    if (n < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < n; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if ((event.events & EPOLLOUT) != 0U) write(event.data.u32);
        if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0U) read(event.data.u32);
    }
    flush();
}

void Connections::read(std::uint32_t index) {
    Socket* socket = &sockets_[index];
    if (socket->fd < 0) return;
    const std::size_t carried = socket->partial.size();
    char* start = buffer_.get() + kHeadroom - carried;
    socket->partial.copy(start, carried);
    const ssize_t n = ::recv(socket->fd, buffer_.get() + kHeadroom, kReadSize, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return lost(index, n == 0 ? "end of stream" : std::strerror(errno));
    ++reads_;
    bytes_in_ += static_cast<std::uint64_t>(n);
    const std::size_t size = carried + static_cast<std::size_t>(n);
    std::size_t used = 0;
    if (!socket->upgraded) {
        used = consume_upgrade(index, start, size);
        if (used > 0) handler_.on_upgraded(index);
    }
    if (sockets_[index].upgraded) used += consume(index, start + used, size - used);
    socket = &sockets_[index];  // a handler may have opened connections
    if (size - used > kHeadroom) throw std::runtime_error("frame larger than the read buffer");
    socket->partial.assign(start + used, size - used);
}

void Connections::lost(std::uint32_t index, std::string_view reason) {
    ::close(sockets_[index].fd);
    sockets_[index].fd = -1;
    handler_.on_close(index, 0, reason);
}

std::size_t Connections::consume_upgrade(std::uint32_t index, const char* data, std::size_t size) {
    const std::string_view text(data, size);
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const std::string_view head = text.substr(0, end);
    if (!head.starts_with("HTTP/1.1 101 ") || head.find(kAccept) == std::string_view::npos) {
        lost(index, "upgrade refused: " + std::string(text));
        return 0;
    }
    sockets_[index].upgraded = true;
    ++upgraded_;
    return end + 4;
}

std::size_t Connections::consume(std::uint32_t index, const char* data, std::size_t size) {
    std::size_t used = 0;
    while (size - used >= 2) {
        const auto* head = reinterpret_cast<const unsigned char*>(data + used);
        std::size_t length = head[1];
        std::size_t skip = 2;
        if (length == 126) {
            if (size - used < 4) break;
            length = (std::size_t{head[2]} << 8U) | head[3];
            skip = 4;
        } else if (length == 127) {
            if (size - used < 10) break;
            length = 0;
            for (unsigned i = 2; i < 10; ++i)
                length = (length << 8U) | head[i];
            skip = 10;
        } else if (length > 127) {
            throw std::runtime_error("masked frame from the server");
        }
        if (size - used - skip < length) break;
        if ((head[0] & 0xf0U) != 0x80U) throw std::runtime_error("fragment or reserved bit from the server");
        const unsigned opcode = head[0] & 0x0fU;
        const char* payload = data + used + skip;
        used += skip + length;
        if (opcode == kText) {
            handler_.on_text(index, payload, length);
        } else {
            control(index, opcode, payload, length);
        }
    }
    return used;
}

void Connections::control(std::uint32_t index, unsigned opcode, const char* data, std::size_t size) {
    if (opcode == kPing) {
        append(sockets_[index], kPong, data, size);
        if (!sockets_[index].dirty) {
            sockets_[index].dirty = true;
            dirty_.push_back(index);
        }
    } else if (opcode == kClose) {
        const int code =
            size < 2 ? 1005 : static_cast<unsigned char>(data[0]) * 256 + static_cast<unsigned char>(data[1]);
        handler_.on_close(index, code, size < 2 ? std::string_view{} : std::string_view(data + 2, size - 2));
    } else if (opcode != kPong) {
        throw std::runtime_error("unexpected opcode from the server");
    }
}

}  // namespace bench
