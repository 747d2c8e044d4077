#include "rest.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace bench {
namespace {

constexpr std::string_view kPassword = "correct-horse-battery-staple-42";

std::string user_name(const std::string& prefix, std::size_t i) {
    return prefix + std::to_string(i);
}

Device device_of(const nlohmann::json& reply) {
    return {.user_id = reply.at("user").at("id"),
            .device_id = reply.at("device").at("id"),
            .token = reply.at("access_token")};
}

}  // namespace

std::string request_bytes(const Request& request) {
    std::string out = request.method + " " + request.target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    if (!request.token.empty()) out += "Authorization: Bearer " + request.token + "\r\n";
    if (!request.body.empty() || request.method == "POST")
        out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(request.body.size()) +
               "\r\n";
    return out + "\r\n" + request.body;
}

std::size_t parse_response(std::string_view data, int& status, std::string_view& body) {
    const std::size_t end = data.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const std::string_view head = data.substr(0, end + 2);
    if (!head.starts_with("HTTP/1.1 ")) throw std::runtime_error("no HTTP answer: " + std::string(head));
    status = std::atoi(head.data() + 9);
    std::size_t length = 0;
    for (std::size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
        constexpr std::string_view name = "content-length:";
        const std::string_view field = head.substr(at + 2, name.size());
        if (std::equal(field.begin(), field.end(), name.begin(), name.end(),
                       [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; }))
            length = static_cast<std::size_t>(std::atol(head.data() + at + 2 + name.size()));
    }
    const std::size_t whole = end + 4 + length;
    if (data.size() < whole) return 0;
    body = data.substr(end + 4, length);
    return whole;
}

Rest::Rest(std::uint16_t port, std::size_t connections)
    : port_(port), sockets_(connections, -1), buffers_(connections) {}

Rest::~Rest() {
    for (const int fd : sockets_)
        if (fd >= 0) ::close(fd);
}

void Rest::connect(std::size_t i) {
    if (sockets_[i] >= 0) ::close(sockets_[i]);
    buffers_[i].clear();
    sockets_[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(sockets_[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(sockets_[i], reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::system_error(errno, std::generic_category(), "connect");
}

Reply Rest::receive(std::size_t i) {
    Reply reply;
    std::string_view body;
    for (;;) {
        const std::size_t used = parse_response(buffers_[i], reply.status, body);
        if (used > 0) {
            reply.body = body;
            buffers_[i].erase(0, used);
            return reply;
        }
        char chunk[65536];
        const ssize_t n = ::recv(sockets_[i], chunk, sizeof chunk, 0);
        if (n <= 0) throw std::runtime_error("the daemon closed an HTTP connection");
        buffers_[i].append(chunk, static_cast<std::size_t>(n));
    }
}

std::vector<nlohmann::json> Rest::all(const std::vector<Request>& requests) {
    std::vector<nlohmann::json> out;
    out.reserve(requests.size());
    for (std::size_t first = 0; first < requests.size(); first += sockets_.size()) {
        const std::size_t round = std::min(sockets_.size(), requests.size() - first);
        for (std::size_t i = 0; i < round; ++i) {
            if (sockets_[i] < 0) connect(i);
            const std::string bytes = request_bytes(requests[first + i]);
            if (::send(sockets_[i], bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
                static_cast<ssize_t>(bytes.size()))
                throw std::system_error(errno, std::generic_category(), "send request");
        }
        for (std::size_t i = 0; i < round; ++i) {
            const Reply reply = receive(i);
            if (reply.status / 100 != 2)
                throw std::runtime_error(requests[first + i].method + " " + requests[first + i].target +
                                         ": " + std::to_string(reply.status) + " " + reply.body);
            out.push_back(reply.body.empty() ? nlohmann::json() : nlohmann::json::parse(reply.body));
        }
    }
    return out;
}

std::vector<Device> register_users(Rest& rest, const std::string& prefix, std::size_t count) {
    std::vector<Request> requests;
    for (std::size_t i = 0; i < count; ++i) {
        const nlohmann::json body = {{"username", user_name(prefix, i)},
                                     {"password", kPassword},
                                     {"device", {{"name", "bench"}, {"platform", "other"}}}};
        requests.push_back({"POST", "/api/v1/auth/register", {}, body.dump()});
    }
    std::vector<Device> out;
    for (const auto& reply : rest.all(requests))
        out.push_back(device_of(reply));
    return out;
}

std::vector<Device> more_devices(Rest& rest, const std::string& prefix, std::size_t users,
                                 std::size_t times) {
    std::vector<Request> requests;
    for (std::size_t i = 0; i < users * times; ++i) {
        const nlohmann::json body = {{"identifier", user_name(prefix, i % users)},
                                     {"password", kPassword},
                                     {"device", {{"name", "bench"}, {"platform", "other"}}}};
        requests.push_back({"POST", "/api/v1/auth/login", {}, body.dump()});
    }
    std::vector<Device> out;
    for (const auto& reply : rest.all(requests))
        out.push_back(device_of(reply));
    return out;
}

std::vector<std::string> make_direct_chats(Rest& rest, const std::vector<Device>& users) {
    std::vector<Request> requests;
    for (std::size_t i = 0; i + 1 < users.size(); i += 2) {
        const nlohmann::json body = {{"type", "direct"},
                                     {"member_ids", nlohmann::json::array({users[i + 1].user_id})}};
        requests.push_back({"POST", "/api/v1/chats", users[i].token, body.dump()});
    }
    std::vector<std::string> out;
    for (const auto& reply : rest.all(requests))
        out.push_back(reply.at("id"));
    return out;
}

std::string make_group(Rest& rest, const std::string& title, const std::vector<Device>& members) {
    nlohmann::json body = {{"type", "group"}, {"title", title}, {"member_ids", nlohmann::json::array()}};
    for (std::size_t i = 1; i < members.size(); ++i)
        body["member_ids"].push_back(members[i].user_id);
    return rest.one({"POST", "/api/v1/chats", members[0].token, body.dump()}).at("id");
}

}  // namespace bench
