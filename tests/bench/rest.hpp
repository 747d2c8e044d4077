// A plain blocking HTTP/1.1 client over several keep-alive connections, for setting the stage: requests
// of one round go out together, one per connection, and the answers are read in order.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Request {
    std::string method;
    std::string target;
    std::string token;  // empty: no Authorization
    std::string body;   // JSON; empty: none
};

struct Reply {
    int status = 0;
    std::string body;
};

// The bytes of one request.
std::string request_bytes(const Request& request);

// The length of the first whole response in `data` (0: not all there yet); status and body are set.
// Understands Content-Length only: the daemon's JSON answers carry it.
std::size_t parse_response(std::string_view data, int& status, std::string_view& body);

class Rest {
public:
    explicit Rest(std::uint16_t port, std::size_t connections = 16);
    ~Rest();
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;
    // Answers in the order of the requests. Throws unless every status is 2xx.
    std::vector<nlohmann::json> all(const std::vector<Request>& requests);
    nlohmann::json one(const Request& request) { return all({request}).front(); }

private:
    void connect(std::size_t i);
    Reply receive(std::size_t i);
    std::uint16_t port_;
    std::vector<int> sockets_;
    std::vector<std::string> buffers_;
};

struct Device {
    std::string user_id;
    std::string device_id;
    std::string token;
};

// `count` new users with one device each. Names start with `prefix`.
std::vector<Device> register_users(Rest& rest, const std::string& prefix, std::size_t count);
// One more device for each entry of `users` (the names that register_users gave), `times` times.
std::vector<Device> more_devices(Rest& rest, const std::string& prefix, std::size_t users, std::size_t times);
// Direct chats of users 2i and 2i+1; their ids.
std::vector<std::string> make_direct_chats(Rest& rest, const std::vector<Device>& users);
// A group that the first member owns.
std::string make_group(Rest& rest, const std::string& title, const std::vector<Device>& members);

}  // namespace bench
