// The client of one-to-one chats, every message durable. A message counts when its sender has the ack and the
// other side has the message with every byte right. User i talks to user i ^ 1.
#pragma once

#include "histogram.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"
#include "traffic.hpp"
#include "ws_load.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

class DirectLoad : private Handler {
public:
    // User i connects to ports[i % ports.size()]; users and chats must outlive this.
    DirectLoad(std::vector<std::uint16_t> ports, const std::vector<Device>& users,
               const std::vector<std::string>& chats, std::size_t text_bytes, int id_version);

    void connect();
    void closed_loop(std::size_t in_flight);
    void run(double seconds);
    // Poisson arrivals, senders at random.
    void open_loop(double rate, double seconds);
    void drain();
    // What each user saw of its chat (acks and deliveries) is one dense run of seqs.
    void check_dense() const;

    void reset_latency();
    std::uint64_t done() const { return done_; }
    std::uint64_t echoes() const { return echoes_; }
    nlohmann::json latency() const;

private:
    struct Sent {
        std::int64_t due_ns = 0;
        std::uint64_t n = ~std::uint64_t{0};
        std::uint64_t acked_seq = 0;
        std::uint64_t delivered_seq = 0;
        char id[kIdLength] = {};
    };
    struct Sender {
        std::string frame;
        std::vector<Sent> sent;
        std::uint64_t next_n = 0;
        std::uint64_t last_delivered = 0;
        std::uint64_t first_seq = ~std::uint64_t{0}, last_seq = 0, seen = 0, sum = 0;

        void saw(std::uint64_t seq);
    };

    void send(std::size_t user, std::int64_t due_ns);
    void on_text(std::uint32_t user, const char* data, std::size_t size) override;
    void on_delivery(std::uint32_t user, const char* data, std::size_t size);
    void on_ack(std::uint32_t user, const char* data, std::size_t size);
    void finish(std::size_t sender, const Sent& sent);

    const std::vector<std::uint16_t> ports_;
    const std::vector<Device>& users_;
    const std::vector<std::string>& chats_;
    Texts texts_;
    int id_version_;
    Connections connections_;
    std::vector<Sender> senders_;
    std::size_t at_ref_ = 0, at_id_ = 0, at_text_ = 0;
    std::size_t ready_ = 0;
    bool refill_ = false;
    std::uint64_t started_ = 0, done_ = 0, echoes_ = 0;
    std::uint64_t random_ = 7;
    Histogram to_ack_, to_delivery_;
    Histogram late_;  // what the generator itself took from when a message was due until it sent it
    Finder seq_{"\"seq\":"}, text_{"\"text\":\""}, id_{"\"id\":\""}, chat_{"\"chat_id\":\""},
        sender_{"\"sender_id\":\""}, ref_{"\"ref\":\""};
};

// Three stretches, as {"open", "full", "half"}: a quiet open one, closed loop with a fixed number in flight,
// open at half of that. The flags are those of the direct benchmark.
nlohmann::json measure_direct(DirectLoad& load, const Cost& cost, const Flags& flags);

}  // namespace bench
