#include "group_load.hpp"

#include <stdexcept>

namespace bench {
namespace {

constexpr std::size_t kEntries = 4096;  // seqs on their way, at most
constexpr std::size_t kRing = 1024;     // messages of one sender on their way, at most
constexpr std::int64_t kDrainNs = 30'000'000'000;
constexpr std::int64_t kConnectNs = 60'000'000'000;

void require(bool ok, const char* what, const char* data, std::size_t size) {
    if (!ok) throw std::runtime_error(std::string(what) + " in frame: " + std::string(data, size));
}

}  // namespace

std::string message_template(const std::string& chat_id, std::size_t text_bytes, std::size_t& at_ref,
                             std::size_t& at_id, std::size_t& at_text) {
    std::string frame = R"({"type":"message","ref":")";
    at_ref = frame.size();
    frame.append(kRefDigits, '0').append(R"(","data":{"id":")");
    at_id = frame.size();
    frame.append(kIdLength, '0')
        .append(R"(","chat_id":")")
        .append(chat_id)
        .append(R"(","type":"text","text":")");
    at_text = frame.size();
    frame.append(text_bytes, ' ').append(R"("}})");
    return frame;
}

GroupLoad::GroupLoad(GroupPlan plan)
    : plan_(std::move(plan)),
      texts_(plan_.text_bytes),
      connections_(plan_.port, *this),
      entries_(kEntries),
      next_seq_(plan_.members.size(), 0),
      sent_(plan_.senders, std::vector<Sent>(kRing)),
      next_n_(plan_.senders, 0) {
    frame_ = message_template(plan_.chat_id, plan_.text_bytes, at_ref_, at_id_, at_text_);
}

double GroupLoad::deliveries_per_read() const {
    return static_cast<double>(deliveries_) / static_cast<double>(connections_.reads());
}

void GroupLoad::connect() {
    const std::int64_t deadline = now_ns() + kConnectNs;
    for (const GroupMember& member : plan_.members) {
        connections_.open(member.token);
        connections_.poll(0);
    }
    const std::size_t all = plan_.members.size();
    while (connections_.upgraded() < all || (plan_.waits_for_caught_up && ready_ < all)) {
        if (now_ns() > deadline) throw std::runtime_error("not every member is live in time");
        connections_.poll(100'000'000);
    }
}

void GroupLoad::start() {
    sending_ = true;
    for (std::size_t i = 0; i < plan_.in_flight; ++i)
        send_next(static_cast<std::uint32_t>(i % plan_.senders));
}

void GroupLoad::run(double seconds) {
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    for (std::int64_t left = end - now_ns(); left > 0; left = end - now_ns())
        connections_.poll(left);
}

void GroupLoad::drain() {
    sending_ = false;
    const std::int64_t deadline = now_ns() + kDrainNs;
    while (open_ > 0) {
        if (now_ns() > deadline)
            throw std::runtime_error("lost: " + std::to_string(open_) + " messages not whole");
        connections_.poll(100'000'000);
    }
}

void GroupLoad::send_next(std::uint32_t sender) {
    const std::uint64_t n = next_n_[sender]++;
    Sent& sent = sent_[sender][n % kRing];
    sent = Sent{};
    sent.at_ns = now_ns();
    put_id(sent.id, 7, sender, n);
    put_hex(frame_.data() + at_ref_, n, kRefDigits);
    std::memcpy(frame_.data() + at_id_, sent.id, kIdLength);
    texts_.put(frame_.data() + at_text_, sender, n);
    connections_.send(sender, frame_.data(), frame_.size());
    ++open_;
}

void GroupLoad::on_text(std::uint32_t connection, const char* data, std::size_t size) {
    // The common case first: the very bytes that another member was sent for this seq.
    Entry& expected = entries_[next_seq_[connection] % kEntries];
    if (expected.seq == next_seq_[connection] && expected.frame.size() == size &&
        std::memcmp(expected.frame.data(), data, size) == 0 && expected.sender != connection) {
        ++next_seq_[connection];
        return delivered_to_one(expected);
    }
    const std::string_view type = frame_type(data, size);
    if (type == "message") return on_delivery(connection, data, size);
    if (type == "ack") return on_ack(connection, data, size);
    if (type == "caught_up") ++ready_;
    require(type != "error", "error", data, size);
}

GroupLoad::Entry& GroupLoad::first_sight(const char* data, std::size_t size, std::uint64_t seq) {
    const char* text = text_.after(data, size);
    std::uint64_t sender = 0;
    std::uint64_t n = 0;
    const char* end = data + size;
    require(text != nullptr && static_cast<std::size_t>(end - text) > texts_.length() &&
                text[texts_.length()] == '"' && texts_.check(text, sender, n) && sender < plan_.senders,
            "damaged text", data, size);
    const char* id = id_.after(data, size);
    require(id != nullptr && std::memcmp(id, sent_[sender][n % kRing].id, kIdLength) == 0, "other id", data,
            size);
    const char* chat = chat_.after(data, size);
    require(chat != nullptr && std::memcmp(chat, plan_.chat_id.data(), plan_.chat_id.size()) == 0,
            "other chat", data, size);
    const char* user = sender_.after(data, size);
    const std::string& user_id = plan_.members[sender].user_id;
    require(user != nullptr && std::memcmp(user, user_id.data(), user_id.size()) == 0, "other sender", data,
            size);
    Entry& entry = entries_[seq % kEntries];
    if (entry.seq != seq) {
        entry.seq = seq;
        entry.frame.assign(data, size);
        entry.received = 0;
        entry.sender = static_cast<std::uint32_t>(sender);
        entry.n = n;
    }
    require(entry.sender == sender && entry.n == n, "one seq for two messages", data, size);
    return entry;
}

void GroupLoad::on_delivery(std::uint32_t connection, const char* data, std::size_t size) {
    const char* at = seq_.after(data, size);
    std::uint64_t seq = 0;
    require(at != nullptr && get_number(at, data + size, seq), "no seq", data, size);
    Entry& entry = first_sight(data, size, seq);
    std::uint64_t& next = next_seq_[connection];
    // A sender does not get its own messages, so the others' are dense but for those.
    for (; next != 0 && next < seq; ++next) {
        const Entry& skipped = entries_[next % kEntries];
        const bool own = connection < plan_.senders && (skipped.seq != next || skipped.sender == connection);
        require(own, "gap", data, size);
    }
    require(next == 0 || next == seq, "duplicate or reordered", data, size);
    next = seq + 1;
    // After the hub has read the log for what it was not told, a sender may get its own message again.
    if (entry.sender == connection) {
        ++echoes_;
        return;
    }
    delivered_to_one(entry);
}

void GroupLoad::on_ack(std::uint32_t connection, const char* data, std::size_t size) {
    const char* ref = ref_.after(data, size);
    const char* at = seq_.after(data, size);
    const char* id = id_.after(data, size);
    std::uint64_t n = 0;
    std::uint64_t seq = 0;
    require(ref != nullptr && at != nullptr && id != nullptr && get_hex(ref, kRefDigits, n) &&
                get_number(at, data + size, seq) && seq > 0 && connection < plan_.senders &&
                n < next_n_[connection],
            "ack of nothing", data, size);
    Sent& sent = sent_[connection][n % kRing];
    require(std::memcmp(id, sent.id, kIdLength) == 0 && sent.acked_seq == 0, "wrong ack", data, size);
    sent.acked_seq = seq;
    finish_if_whole(connection, sent);
}

void GroupLoad::delivered_to_one(Entry& entry) {
    ++deliveries_;
    if (++entry.received < plan_.members.size() - 1) return;
    Sent& sent = sent_[entry.sender][entry.n % kRing];
    sent.delivered = true;
    last_delivery_.add(now_ns() - sent.at_ns);
    finish_if_whole(entry.sender, sent);
}

void GroupLoad::finish_if_whole(std::uint32_t sender, const Sent& sent) {
    if (!sent.delivered || sent.acked_seq == 0) return;
    --open_;
    ++completed_;
    if (sending_) send_next(sender);
}

}  // namespace bench
