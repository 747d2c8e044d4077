// Many devices as a careful client would be written, in one thread: each comes back when its connection ends,
// resumes from its cursor, applies each chat by sequence number, and sends again with the same id until it
// knows what became of a message. The same rules as tests/rig/device.py, at the rate of several thousand
// messages a second; the difference: a gap that does not close by itself is healed by a new connection that
// resumes from the cursor.
#pragma once

#include "history.hpp"
#include "traffic.hpp"
#include "ws_load.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace load {

class Fleet final : bench::Handler {
public:
    /// See main.cpp for the setting. Throws what nlohmann/json throws when something is missing.
    explicit Fleet(const nlohmann::json& setting);

    void run() { begun_ = now_s(); }
    void stop() { begun_ = 0; }
    void tell_waiting(double since_s) { waiting_since_ = since_s; }
    /// Each device at that node (its index; nothing: nowhere) from now on; who is elsewhere loses its
    /// connection.
    void seat(const std::vector<std::optional<std::size_t>>& nodes);
    /// As many connected devices, drawn at random, lose the network.
    void lose_network(std::size_t count);
    /// One round: what is due is sent, what has come is taken, what broke is mended.
    void turn();

    bool settled() const;
    /// Whether every device has applied each of its chats up to these.
    bool level(const std::unordered_map<std::string, std::uint64_t>& heads) const;
    /// With "tell_acks" in the setting also the messages that were acknowledged since the last call, and
    /// those that wait and were meant to be sent since tell_waiting().
    nlohmann::json state();
    nlohmann::json report();
    void write(const std::string& path) const;

private:
    struct Pending {
        bool in_flight = false;
        bool maybe_stored = false;
        double sent_at = 0;
        double retry_at = 0;
    };
    struct Log {
        std::uint64_t last = 0;
        std::map<std::uint64_t, Entry> waiting;
        double waiting_since = 0;
    };
    struct Device {
        std::string token;
        std::string cursor;
        std::vector<std::size_t> nodes;
        std::size_t node = 0;
        std::uint32_t connection = kNone;
        bool live = false;
        double connect_at = 0;
        std::map<std::uint32_t, Pending> pending;  // by message
        std::unordered_map<std::uint32_t, Log> logs;
    };
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    void on_upgraded(std::uint32_t connection) override;
    void on_text(std::uint32_t connection, const char* data, std::size_t size) override;
    void on_close(std::uint32_t connection, int code, std::string_view reason) override;

    void connect(std::uint32_t device);
    void lose(std::uint32_t device, double pause);
    void pace();
    void send_one();
    void push(std::uint32_t device, std::uint32_t message, Pending& pending);
    void push_all(std::uint32_t device);
    void now_unknown(std::uint32_t message, Pending& pending, double retry_in = 0);
    void acked(std::uint32_t device, const nlohmann::json& frame);
    void refused(std::uint32_t device, const nlohmann::json& frame);
    void take(std::uint32_t device, const std::string& chat, const Entry& entry);
    void look_after();
    std::string text_of(std::uint32_t message) const;

    std::vector<std::uint16_t> ports_;
    double rate_;
    bench::Texts texts_;
    std::mt19937_64 chance_;
    std::vector<std::string> chats_, names_, users_;
    std::unordered_map<std::string, std::uint32_t> chat_numbers_;
    std::vector<std::vector<std::uint32_t>> members_;  // of each chat: devices
    std::vector<Device> devices_;
    std::vector<std::uint32_t> device_of_;  // of each connection
    bench::Connections connections_;
    History history_;
    double begun_ = 0;  // 0: does not send
    std::uint64_t issued_ = 0;
    double looked_at_ = 0;
    bool tell_acks_;
    double waiting_since_ = std::numeric_limits<double>::infinity();
    nlohmann::json fresh_acks_;
    std::uint64_t acked_ = 0, held_back_ = 0, connects_ = 0, healed_ = 0;
    std::vector<float> ack_s_;
};

}  // namespace load
