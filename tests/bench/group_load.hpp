// The client of the group benchmark, used against the daemon and against the bare fan-out servers alike:
// some members send, everybody else must receive every message, whole and in order.
#pragma once

#include "histogram.hpp"
#include "traffic.hpp"
#include "ws_load.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct GroupMember {
    std::string token;
    std::string user_id;
};

struct GroupPlan {
    std::uint16_t port = 0;
    std::string chat_id;
    std::vector<GroupMember> members;
    std::size_t senders = 8;     // the first members
    std::size_t in_flight = 64;  // messages sent and not yet delivered to everybody
    std::size_t text_bytes = 200;
    bool waits_for_caught_up = true;  // the daemon says so; the bare servers do not
};

class GroupLoad : private Handler {
public:
    explicit GroupLoad(GroupPlan plan);
    void connect();
    void start();
    // Runs for so long; every delivery is verified before it is counted.
    void run(double seconds);
    // Stops sending and waits until every message is with everybody and acknowledged; throws otherwise.
    void drain();
    std::uint64_t deliveries() const { return deliveries_; }
    std::uint64_t echoes() const { return echoes_; }
    std::uint64_t messages() const { return completed_; }
    const Histogram& last_delivery() const { return last_delivery_; }  // send -> the last member has it
    void reset_latency() { last_delivery_.clear(); }
    double deliveries_per_read() const;

private:
    struct Entry {  // one message on its way, by seq
        std::uint64_t seq = 0;
        std::string frame;  // the first delivery of it, verified field by field
        std::uint32_t received = 0;
        std::uint32_t sender = 0;
        std::uint64_t n = 0;
    };
    struct Sent {
        std::int64_t at_ns = 0;
        char id[kIdLength] = {};
        std::uint64_t acked_seq = 0;
        bool delivered = false;  // to everybody
    };
    void on_text(std::uint32_t connection, const char* data, std::size_t size) override;
    void on_delivery(std::uint32_t connection, const char* data, std::size_t size);
    void on_ack(std::uint32_t connection, const char* data, std::size_t size);
    void send_next(std::uint32_t sender);
    void delivered_to_one(Entry& entry);
    void finish_if_whole(std::uint32_t sender, const Sent& sent);
    Entry& first_sight(const char* data, std::size_t size, std::uint64_t seq);

    GroupPlan plan_;
    Texts texts_;
    Connections connections_;
    std::vector<Entry> entries_;
    std::vector<std::uint64_t> next_seq_;  // by connection: what it must get next
    std::vector<std::vector<Sent>> sent_;  // by sender, ring by n
    std::vector<std::uint64_t> next_n_;
    std::string frame_;  // the client frame, patched in place
    std::size_t at_ref_ = 0, at_id_ = 0, at_text_ = 0;
    std::size_t ready_ = 0;
    std::size_t open_ = 0;  // messages in flight
    bool sending_ = false;
    std::uint64_t deliveries_ = 0;
    std::uint64_t echoes_ = 0;
    std::uint64_t completed_ = 0;
    Histogram last_delivery_;
    Finder seq_{"\"seq\":"}, text_{"\"text\":\""}, id_{"\"id\":\""}, chat_{"\"chat_id\":\""},
        sender_{"\"sender_id\":\""}, ref_{"\"ref\":\""};
};

// The client frame of one message with fixed-width holes; their places are returned by reference.
std::string message_template(const std::string& chat_id, std::size_t text_bytes, std::size_t& at_ref,
                             std::size_t& at_id, std::size_t& at_text);
inline constexpr int kRefDigits = 8;  // hexadecimal n

}  // namespace bench
