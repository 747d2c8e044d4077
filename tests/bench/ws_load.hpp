// The receiving and sending end of every WebSocket benchmark: one thread, one epoll, non-blocking
// sockets, one shared read buffer, writes coalesced into one send per connection and round.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

std::int64_t now_ns();  // monotonic
/// From here on this thread's timers are not up to 50 us late. After the children were started: they would
/// inherit it.
void wake_on_time();

class Handler {
public:
    virtual ~Handler() = default;
    // One whole text frame. The bytes are valid during the call only.
    virtual void on_text(std::uint32_t connection, const char* data, std::size_t size) = 0;
    // The 101 has come; sending is allowed from now on.
    virtual void on_upgraded(std::uint32_t) {}
    // The peer closed (code 0: without a close frame), or refused the upgrade. Throws by default: no
    // benchmark expects it. May drop() the connection, not send.
    virtual void on_close(std::uint32_t connection, int code, std::string_view reason);
};

class Connections {
public:
    Connections(std::uint16_t port, Handler& handler);
    ~Connections();
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;

    // Connects and sends the upgrade; the answer is checked by poll(). token may be empty.
    // Returns the connection's index: 0, 1, 2, ...
    std::uint32_t open(std::string_view token) { return open(token, port_); }
    // The same, at another server.
    std::uint32_t open(std::string_view token, std::uint16_t port);
    // Nothing when the server cannot be reached.
    std::optional<std::uint32_t> try_open(std::string_view token, std::uint16_t port);
    // Closes without a word, and tells the handler nothing.
    void drop(std::uint32_t connection);
    void close_all();
    std::size_t size() const { return sockets_.size(); }
    std::size_t upgraded() const { return upgraded_; }

    // Appends one masked text frame to the connection's output; flush() or poll() sends it.
    void send(std::uint32_t connection, const char* data, std::size_t size);
    void flush();
    // Flushes, then waits up to timeout_ns (< 0: for ever) and hands frames to the handler.
    void poll(std::int64_t timeout_ns);

    std::uint64_t bytes_in() const { return bytes_in_; }
    std::uint64_t reads() const { return reads_; }

private:
    struct Socket {
        int fd = -1;
        std::uint32_t mask = 0;
        bool upgraded = false;
        bool dirty = false;
        bool wants_write = false;
        std::size_t sent = 0;
        std::string out;
        std::string partial;  // the start of a frame whose end has not come yet
    };
    void read(std::uint32_t index);
    void lost(std::uint32_t index, std::string_view reason);
    std::size_t consume(std::uint32_t index, const char* data, std::size_t size);
    std::size_t consume_upgrade(std::uint32_t index, const char* data, std::size_t size);
    void control(std::uint32_t index, unsigned opcode, const char* data, std::size_t size);
    void append(Socket& socket, unsigned opcode, const char* data, std::size_t size);
    void write(std::uint32_t index);
    void watch(std::uint32_t index, bool writable);

    std::uint16_t port_;
    Handler& handler_;
    int epoll_;
    std::vector<Socket> sockets_;
    std::vector<std::uint32_t> dirty_;
    std::unique_ptr<char[]> buffer_;
    std::size_t upgraded_ = 0;
    std::uint64_t bytes_in_ = 0;
    std::uint64_t reads_ = 0;
};

// The "type" of a server frame, whatever its place; empty when there is none.
std::string_view frame_type(const char* data, std::size_t size);

// Copies `size` bytes, XORed with the 4-byte mask (RFC 6455 section 5.3).
void mask_copy(char* to, const char* from, std::size_t size, std::uint32_t mask);

}  // namespace bench
