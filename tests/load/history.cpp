#include "history.hpp"

#include "ws_load.hpp"

#include <nlohmann/json.hpp>
#include <sodium.h>

#include <fstream>
#include <stdexcept>

namespace load {
namespace {

std::string hex(std::uint64_t digest) {
    std::string out(17, '\0');
    sodium_bin2hex(out.data(), out.size(), reinterpret_cast<const unsigned char*>(&digest), sizeof digest);
    out.pop_back();
    return out;
}

}  // namespace

double now_s() {
    return static_cast<double>(bench::now_ns()) / 1e9;
}

std::uint64_t digest(std::string_view text) {
    std::uint64_t out = 0;
    crypto_generichash_blake2b(reinterpret_cast<unsigned char*>(&out), sizeof out,
                               reinterpret_cast<const unsigned char*>(text.data()), text.size(), nullptr, 0);
    return out;
}

History::History(std::size_t devices, std::size_t chats) : chats_(chats), applied_(devices * chats) {}

std::uint32_t History::begin(Message message) {
    messages_.push_back(std::move(message));
    return static_cast<std::uint32_t>(messages_.size() - 1);
}

std::uint32_t History::id_of(std::string_view id) {
    const auto [at, fresh] = numbers_.try_emplace(std::string(id), static_cast<std::uint32_t>(ids_.size()));
    if (fresh) ids_.emplace_back(id);
    return at->second;
}

void History::apply(std::uint32_t device, std::uint32_t chat, const Entry& entry) {
    applied_[device * chats_ + chat].push_back(entry);
}

void History::write(const std::string& path, const std::vector<std::string>& devices,
                    const std::vector<std::string>& users, const std::vector<std::string>& chats) const {
    using nlohmann::json;
    std::ofstream out(path);
    for (const auto& each : messages_) {
        json acks = json::array();
        for (const auto& [seq, at] : each.acks)
            acks.push_back({seq, at});
        out << json{{"operation",
                     {each.id, chats[each.chat], users[each.device], devices[each.device], hex(each.digest),
                      each.invoked_at, std::move(acks), each.failed, each.unknown, each.attempts}}}
            << '\n';
    }
    for (std::size_t i = 0; i < applied_.size(); ++i) {
        if (applied_[i].empty()) continue;
        json entries = json::array();
        for (const auto& entry : applied_[i]) {
            const bool message = entry.id != Entry::kNoMessage;
            entries.push_back({entry.seq, message ? json(ids_[entry.id]) : json(),
                               message ? hex(entry.digest) : std::string()});
        }
        out << json{{"applied", {devices[i / chats_], chats[i % chats_], std::move(entries)}}} << '\n';
    }
    out.flush();
    if (!out) throw std::runtime_error("could not write " + path);
}

}  // namespace load
