#include "direct_load.hpp"

#include "group_load.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace bench {
namespace {

using nlohmann::json;

constexpr std::size_t kRing = 4096;  // messages of one sender on their way, at most
constexpr std::int64_t kDrainNs = 30'000'000'000;
constexpr std::int64_t kConnectNs = 60'000'000'000;

void require(bool ok, const char* what, const char* data, std::size_t size) {
    if (!ok) throw std::runtime_error(std::string(what) + " in frame: " + std::string(data, size));
}

json stretch(DirectLoad& load, const CpuMeter& meter, std::uint64_t before) {
    const auto count = static_cast<double>(load.done() - before);
    json out = load.latency();
    out["cpu"] = meter.read(count);
    out["messages_per_s"] = rounded(count / out["cpu"]["wall_s"].get<double>(), 0);
    return out;
}

}  // namespace

DirectLoad::DirectLoad(std::vector<std::uint16_t> ports, const std::vector<Device>& users,
                       const std::vector<std::string>& chats, std::size_t text_bytes, int id_version)
    : ports_(std::move(ports)),
      users_(users),
      chats_(chats),
      texts_(text_bytes),
      id_version_(id_version),
      connections_(ports_.front(), *this),
      senders_(users.size()) {
    for (std::size_t i = 0; i < users.size(); ++i) {
        senders_[i].frame = message_template(chats[i / 2], text_bytes, at_ref_, at_id_, at_text_);
        senders_[i].sent.resize(kRing);
    }
}

void DirectLoad::Sender::saw(std::uint64_t seq) {
    first_seq = std::min(first_seq, seq);
    last_seq = std::max(last_seq, seq);
    ++seen;
    sum += seq;
}

void DirectLoad::connect() {
    const std::int64_t deadline = now_ns() + kConnectNs;
    for (std::size_t i = 0; i < users_.size(); ++i)
        connections_.open(users_[i].token, ports_[i % ports_.size()]);
    while (ready_ < users_.size()) {
        if (now_ns() > deadline) throw std::runtime_error("not every user is live in time");
        connections_.poll(100'000'000);
    }
}

void DirectLoad::closed_loop(std::size_t in_flight) {
    refill_ = true;
    for (std::size_t i = 0; i < in_flight; ++i)
        send(i % users_.size(), now_ns());
}

void DirectLoad::run(double seconds) {
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    for (std::int64_t left = end - now_ns(); left > 0; left = end - now_ns())
        connections_.poll(left);
}

void DirectLoad::open_loop(double rate, double seconds) {
    wake_on_time();
    double due = static_cast<double>(now_ns());
    const double end = due + seconds * 1e9;
    for (;;) {
        const auto now = static_cast<double>(now_ns());
        if (now >= end) return;
        while (due <= now) {
            random_ = mix(random_);
            send(random_ % users_.size(), static_cast<std::int64_t>(due));
            late_.add(now_ns() - static_cast<std::int64_t>(due));
            random_ = mix(random_);
            const double u = (static_cast<double>(random_ >> 11U) + 0.5) * 0x1.0p-53;
            due += -std::log(u) * 1e9 / rate;
        }
        connections_.poll(std::max<std::int64_t>(0, static_cast<std::int64_t>(due) - now_ns()));
    }
}

void DirectLoad::drain() {
    refill_ = false;
    const std::int64_t deadline = now_ns() + kDrainNs;
    while (done_ < started_) {
        if (now_ns() > deadline)
            throw std::runtime_error("lost: " + std::to_string(started_ - done_) + " messages");
        connections_.poll(100'000'000);
    }
}

void DirectLoad::check_dense() const {
    for (std::size_t i = 0; i < senders_.size(); ++i) {
        const Sender& s = senders_[i];
        if (s.seen == 0) continue;
        const std::uint64_t span = s.last_seq - s.first_seq + 1;
        if (span != s.seen || s.sum != (s.first_seq + s.last_seq) * span / 2)
            throw std::runtime_error("user " + std::to_string(i) + ": seqs are not dense");
    }
}

void DirectLoad::reset_latency() {
    to_ack_.clear();
    to_delivery_.clear();
    late_.clear();
}

json DirectLoad::latency() const {
    json out = {{"delivery_p50_ms", rounded(to_delivery_.quantile_ms(0.5))},
                {"delivery_p99_ms", rounded(to_delivery_.quantile_ms(0.99))},
                {"ack_p50_ms", rounded(to_ack_.quantile_ms(0.5))},
                {"ack_p99_ms", rounded(to_ack_.quantile_ms(0.99))}};
    if (late_.count() > 0) {
        out["late_p50_ms"] = rounded(late_.quantile_ms(0.5));
        out["late_p99_ms"] = rounded(late_.quantile_ms(0.99));
    }
    return out;
}

void DirectLoad::send(std::size_t user, std::int64_t due_ns) {
    Sender& s = senders_[user];
    const std::uint64_t n = s.next_n++;
    Sent& sent = s.sent[n % kRing];
    if (sent.n != ~std::uint64_t{0} && (sent.acked_seq == 0 || sent.delivered_seq == 0))
        throw std::runtime_error("overload: the oldest of " + std::to_string(kRing) +
                                 " messages is not done");
    sent = Sent{};
    sent.due_ns = due_ns;
    sent.n = n;
    put_id(sent.id, id_version_, user, n);
    put_hex(s.frame.data() + at_ref_, n, kRefDigits);
    std::memcpy(s.frame.data() + at_id_, sent.id, kIdLength);
    texts_.put(s.frame.data() + at_text_, user, n);
    connections_.send(static_cast<std::uint32_t>(user), s.frame.data(), s.frame.size());
    ++started_;
}

void DirectLoad::on_text(std::uint32_t user, const char* data, std::size_t size) {
    const std::string_view type = frame_type(data, size);
    if (type == "message") return on_delivery(user, data, size);
    if (type == "ack") return on_ack(user, data, size);
    if (type == "caught_up") ++ready_;
    require(type != "error", "error", data, size);
}

void DirectLoad::on_delivery(std::uint32_t user, const char* data, std::size_t size) {
    const char* end = data + size;
    const char* text = text_.after(data, size);
    std::uint64_t sender = 0;
    std::uint64_t n = 0;
    std::uint64_t seq = 0;
    require(text != nullptr && static_cast<std::size_t>(end - text) > texts_.length() &&
                text[texts_.length()] == '"' && texts_.check(text, sender, n) &&
                (sender == user || sender == (user ^ 1U)),
            "damaged text", data, size);
    // After the hub has read the log for what it was not told, a sender may get its own message again.
    if (sender == user) {
        ++echoes_;
        return;
    }
    const auto peer = static_cast<std::size_t>(sender);
    Sent& sent = senders_[peer].sent[n % kRing];
    const char* id = id_.after(data, size);
    const char* chat = chat_.after(data, size);
    const char* from = sender_.after(data, size);
    const char* number = seq_.after(data, size);
    require(sent.n == n && sent.delivered_seq == 0 && id != nullptr && chat != nullptr && from != nullptr &&
                std::memcmp(id, sent.id, kIdLength) == 0 &&
                std::memcmp(chat, chats_[user / 2].data(), kIdLength) == 0 &&
                std::memcmp(from, users_[peer].user_id.data(), kIdLength) == 0 && number != nullptr &&
                get_number(number, end, seq),
            "not the message that was sent", data, size);
    Sender& me = senders_[user];
    require(seq > me.last_delivered, "duplicate or reordered", data, size);
    require(sent.acked_seq == 0 || sent.acked_seq == seq, "ack and delivery differ in seq", data, size);
    me.last_delivered = seq;
    me.saw(seq);
    sent.delivered_seq = seq;
    to_delivery_.add(now_ns() - sent.due_ns);
    finish(peer, sent);
}

void DirectLoad::on_ack(std::uint32_t user, const char* data, std::size_t size) {
    const char* ref = ref_.after(data, size);
    const char* number = seq_.after(data, size);
    const char* id = id_.after(data, size);
    std::uint64_t n = 0;
    std::uint64_t seq = 0;
    require(ref != nullptr && number != nullptr && id != nullptr && get_hex(ref, kRefDigits, n) &&
                get_number(number, data + size, seq) && seq > 0,
            "unreadable ack", data, size);
    Sent& sent = senders_[user].sent[n % kRing];
    require(sent.n == n && sent.acked_seq == 0 && std::memcmp(id, sent.id, kIdLength) == 0 &&
                (sent.delivered_seq == 0 || sent.delivered_seq == seq),
            "wrong ack", data, size);
    senders_[user].saw(seq);
    sent.acked_seq = seq;
    to_ack_.add(now_ns() - sent.due_ns);
    finish(user, sent);
}

void DirectLoad::finish(std::size_t sender, const Sent& sent) {
    if (sent.acked_seq == 0 || sent.delivered_seq == 0) return;
    ++done_;
    if (refill_) send(sender, now_ns());
}

nlohmann::json measure_direct(DirectLoad& load, const Cost& cost, const Flags& flags) {
    const auto seconds = static_cast<double>(flags.number("seconds"));
    load.connect();
    json out = {{"users", flags.number("users")}, {"in_flight", flags.number("in-flight")}};
    const auto open = [&](double rate) {
        load.open_loop(rate, 1);
        load.reset_latency();
        const std::uint64_t before = load.done();
        const CpuMeter meter(cost);
        load.open_loop(rate, seconds);
        auto figures = stretch(load, meter, before);
        load.drain();
        return figures;
    };
    // The quiet stretch first: what the kernel still writes back after a million messages is not its load.
    out["open"] = open(static_cast<double>(flags.number("open-rate")));
    load.closed_loop(static_cast<std::size_t>(flags.number("in-flight")));
    load.run(static_cast<double>(flags.number("warm-up")));
    load.reset_latency();
    {
        const std::uint64_t before = load.done();
        const CpuMeter meter(cost);
        load.run(seconds);
        out["full"] = stretch(load, meter, before);
    }
    load.drain();
    out["half"] = open(out["full"]["messages_per_s"].get<double>() / 2);
    load.check_dense();
    out["echoes"] = load.echoes();
    return out;
}

}  // namespace bench
