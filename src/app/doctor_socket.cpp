// The WebSocket from outside (RFC 6455): whether it opens, and whether a quiet one is left open.
#include "doctor_proxy.hpp"

#include <supd/base/clock.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cstdlib>
#include <fstream>

namespace supd::app {
namespace {

// The nonce of RFC 6455 section 1.3 and its answer: nothing here depends on it being secret.
constexpr std::string_view kNonce = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::size_t kMaxHead = 16 * 1024;
constexpr std::size_t kMaxFrame = 1024 * 1024;
constexpr std::chrono::seconds kAnswerIn{5};
// How late supd's word may be. A proxy that waits less than the heartbeat cuts quiet clients off.
constexpr std::chrono::seconds kLate{10};

enum class Opcode { text = 1, close = 8, ping = 9 };

class Socket {
public:
    Socket(const http::Url& url, bool verify, const std::string& token) : connection_(to(url, verify)) {
        std::string request = "GET " + url.path + "/ws HTTP/1.1\r\nHost: " + url.authority() +
                              "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: " +
                              std::string(kNonce) + "\r\n";
        if (!token.empty()) request += "Authorization: Bearer " + token + "\r\n";
        connection_.write(request + "\r\n");
    }

    // Up to the end of the header; false when the stream ends before.
    bool head(std::string& out) {
        for (;;) {
            const auto end = buffer_.find("\r\n\r\n");
            if (end != std::string::npos) {
                out = buffer_.substr(0, end + 2);
                buffer_.erase(0, end + 4);
                return true;
            }
            if (buffer_.size() > kMaxHead || !more()) return false;
        }
    }

    // The next frame's opcode and payload; false when the stream ends before.
    bool frame(int& opcode, std::string& payload) {
        if (!have(2)) return false;
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(buffer_[i]); };
        std::size_t size = byte(1) & 0x7FU;
        std::size_t header = 2;
        if (size >= 126) {
            const std::size_t digits = size == 126 ? 2 : 8;
            header += digits;
            if (!have(header)) return false;
            size = 0;
            for (std::size_t i = 0; i < digits; ++i)
                size = size << 8U | byte(2 + i);
        }
        if (size > kMaxFrame || !have(header + size)) return false;
        opcode = byte(0) & 0x0FU;
        payload = buffer_.substr(header, size);
        buffer_.erase(0, header + size);
        return true;
    }

    void allow(std::chrono::milliseconds time) { connection_.allow(time); }

private:
    static net::OutboundOptions to(const http::Url& url, bool verify) {
        net::OutboundOptions out;
        out.host = url.host;
        out.port = url.port;
        out.tls = url.tls;
        out.verify = verify;
        out.timeout = kAnswerIn;
        return out;
    }
    bool more() {
        const auto bytes = connection_.read();
        buffer_ += bytes;
        return !bytes.empty();
    }
    bool have(std::size_t size) {
        while (buffer_.size() < size)
            if (!more()) return false;
        return true;
    }

    net::Outbound connection_;
    std::string buffer_;
};

SocketFacts open(Socket& socket) {
    SocketFacts out;
    std::string head;
    if (!socket.head(head)) {
        out.fault = "the connection was closed without an answer";
        return out;
    }
    if (head.starts_with("HTTP/1.1 ")) out.status = std::atoi(head.c_str() + 9);
    out.accepted = out.status == 101 && head.find(kAccept) != std::string::npos;
    int opcode = 0;
    std::string payload;
    out.hello = out.accepted && socket.frame(opcode, payload) && opcode == static_cast<int>(Opcode::text) &&
                payload.find("\"hello\"") != std::string::npos;
    const auto hello = nlohmann::json::parse(payload, nullptr, false);
    if (out.hello && hello.is_object() && hello.contains("data"))
        out.heartbeat_s = hello["data"].value("heartbeat_s", out.heartbeat_s);
    return out;
}

// Says nothing until supd does.
IdleFacts wait_quietly(Socket& socket, bool with_token, std::chrono::seconds heartbeat) {
    IdleFacts out;
    out.with_token = with_token;
    const auto begun = base::Monotonic::now();
    socket.allow(heartbeat + kLate);
    const int awaited = static_cast<int>(with_token ? Opcode::ping : Opcode::close);
    try {
        int opcode = 0;
        std::string payload;
        while (!out.sign_of_life && socket.frame(opcode, payload))
            out.sign_of_life = opcode == awaited;
    } catch (const net::OutboundError&) {
        out.sign_of_life = false;
    }
    out.after_s = std::chrono::duration<double>(base::Monotonic::now() - begun).count();
    return out;
}

std::string token_in(const std::string& file) {
    std::string out;
    if (!file.empty()) std::getline(std::ifstream(file) >> std::ws, out);
    return out;
}

}  // namespace

Judgement judge_upgrade(const SocketFacts& facts) {
    if (facts.hello) return all_well("it opens, and supd's first frame comes through");
    const std::string mend =
        "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "
        "\"upgrade\"; proxy_buffering off for /ws";
    if (!facts.fault.empty()) return fails(facts.fault, mend);
    if (facts.status == 401)
        return fails("the token in --token-file is refused", "get a fresh one by POST /api/v1/auth/login");
    if (facts.status != 101)
        return fails("the upgrade is answered with " + std::to_string(facts.status), mend);
    if (!facts.accepted) return fails("something answers 101 that is no WebSocket", mend);
    return fails("it opens, but no frame comes through", mend);
}

Judgement judge_idle(const IdleFacts& facts) {
    const auto after = std::to_string(static_cast<int>(facts.after_s)) + " s";
    if (!facts.sign_of_life)
        return fails("a quiet connection ended or went silent after " + after + " without a word of supd",
                     "let the proxy wait longer than websocket.heartbeat_s (nginx: proxy_read_timeout and "
                     "proxy_send_timeout 75s)");
    if (facts.with_token) return all_well("a quiet connection lives on to supd's ping, after " + after);
    return all_well("a quiet connection was left alone for " + after +
                    ", until supd asked for a token; --token-file tries longer");
}

Findings examine_socket(const http::Url& url, bool verify, const DoctorOptions& options) {
    const char* upgrade = "proxy.websocket";
    const char* idle = "proxy.websocket_idle";
    try {
        const auto token = token_in(options.token_file);
        Socket socket(url, verify, token);
        const auto facts = open(socket);
        Findings out{{upgrade, judge_upgrade(facts)}};
        if (!facts.hello) return out;
        out.push_back({idle, options.slow ? judge_idle(wait_quietly(socket, !token.empty(),
                                                                    std::chrono::seconds(facts.heartbeat_s)))
                                          : not_looked_at("takes half a minute: --slow")});
        return out;
    } catch (const net::OutboundError& error) {
        SocketFacts facts;
        facts.fault = error.what();
        return {{upgrade, judge_upgrade(facts)}};
    }
}

}  // namespace supd::app
