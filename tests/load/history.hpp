// What a run did and saw, in the terms of tests/rig/history.py, whose checker judges it: every message with
// all its attempts, and what each device applied, in its order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace load {

/// Seconds of the monotonic clock, the one that Python's time.monotonic() reads.
double now_s();

/// The first 8 bytes of a text's BLAKE2b-64, as they lie in memory.
std::uint64_t digest(std::string_view text);

struct Message {
    std::string id;
    std::uint32_t chat = 0;
    std::uint32_t device = 0;
    std::uint32_t attempts = 0;
    std::uint32_t failed = 0;
    std::uint32_t unknown = 0;
    std::uint64_t digest = 0;
    double invoked_at = 0;
    std::vector<std::pair<std::uint64_t, double>> acks;  // seq, when
};

struct Entry {
    static constexpr std::uint32_t kNoMessage = ~std::uint32_t{0};
    std::uint64_t seq = 0;
    std::uint32_t id = kNoMessage;  // of History::id_of
    std::uint64_t digest = 0;
};

class History {
public:
    History(std::size_t devices, std::size_t chats);

    std::uint32_t begin(Message message);
    Message& at(std::uint32_t message) { return messages_[message]; }
    std::size_t size() const { return messages_.size(); }

    /// A message id, known or not, as a number.
    std::uint32_t id_of(std::string_view id);
    void apply(std::uint32_t device, std::uint32_t chat, const Entry& entry);

    /// JSON lines: {"operation": ...} and {"applied": ...}.
    void write(const std::string& path, const std::vector<std::string>& devices,
               const std::vector<std::string>& users, const std::vector<std::string>& chats) const;

private:
    std::size_t chats_;
    std::vector<Message> messages_;
    std::vector<std::string> ids_;
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::vector<std::vector<Entry>> applied_;  // of device * chats_ + chat
};

}  // namespace load
