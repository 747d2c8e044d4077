#include "fleet.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace load {
namespace {

using nlohmann::json;

constexpr double kGapPatienceS = 1;
constexpr double kAnswerPatienceS = 15;
constexpr double kLookEveryS = 0.2;
constexpr double kRetryS = 0.25;
constexpr double kReconnectMinS = 0.05, kReconnectMaxS = 0.4;
constexpr std::size_t kBacklog = 400;  // messages of one device whose outcome is not known
constexpr std::int64_t kTurnNs = 2'000'000;
constexpr int kRestarting = 1012;
// What has a place in a chat's log: any other kind with a number would excuse a gap.
constexpr std::array<std::string_view, 13> kDurable = {
    "message",        "message_edited",   "message_deleted", "reaction_added", "reaction_removed",
    "message_pinned", "message_unpinned", "chat_created",    "chat_updated",   "chat_deleted",
    "member_added",   "member_removed",   "member_updated"};

// What a ref says; of one that is none of ours a number that no message has.
std::uint32_t number_in(std::string_view ref) {
    std::uint32_t out = ~std::uint32_t{0};
    std::from_chars(ref.data(), ref.data() + ref.size(), out);
    return out;
}

}  // namespace

Fleet::Fleet(const json& setting)
    : ports_(setting.at("ports").get<std::vector<std::uint16_t>>()),
      rate_(setting.at("rate")),
      texts_(setting.at("body").get<std::size_t>()),
      chance_(setting.at("seed").get<std::uint64_t>()),
      connections_(ports_.at(0), *this),
      history_(setting.at("devices").size(), setting.at("chats").size()),
      tell_acks_(setting.at("tell_acks")),
      fresh_acks_(json::array()) {
    for (const auto& chat : setting.at("chats")) {
        chat_numbers_[chat] = static_cast<std::uint32_t>(chats_.size());
        chats_.push_back(chat);
    }
    members_.resize(chats_.size());
    for (const auto& each : setting.at("devices")) {
        const auto index = static_cast<std::uint32_t>(devices_.size());
        Device& device = devices_.emplace_back();
        device.token = each.at("token");
        device.cursor = each.at("cursor");
        names_.push_back(each.at("name"));
        users_.push_back(each.at("user"));
        for (std::size_t node = 0; node < ports_.size(); ++node)
            device.nodes.push_back(node);
        for (const auto& [chat, last] : each.at("chats").items()) {
            const auto number = chat_numbers_.at(chat);
            device.logs[number].last = last;
            members_[number].push_back(index);
        }
    }
}

void Fleet::turn() {
    const double now = now_s();
    for (std::uint32_t i = 0; i < devices_.size(); ++i)
        if (devices_[i].connection == kNone && !devices_[i].nodes.empty() && now >= devices_[i].connect_at)
            connect(i);
    if (begun_ > 0) pace();
    if (now - looked_at_ > kLookEveryS) {
        looked_at_ = now;
        look_after();
    }
    connections_.poll(kTurnNs);
}

void Fleet::connect(std::uint32_t index) {
    Device& device = devices_[index];
    device.node = device.nodes[chance_() % device.nodes.size()];
    const auto connection = connections_.try_open({}, ports_[device.node]);
    if (!connection) return lose(index, -1);
    device.connection = *connection;
    device_of_.resize(std::max<std::size_t>(device_of_.size(), *connection + 1U), kNone);
    device_of_[*connection] = index;
}

// pause < 0: a little, at random.
void Fleet::lose(std::uint32_t index, double pause) {
    Device& device = devices_[index];
    if (device.connection != kNone) {
        connections_.drop(device.connection);
        device_of_[device.connection] = kNone;
    }
    device.connection = kNone;
    device.live = false;
    for (auto& [message, pending] : device.pending)
        now_unknown(message, pending);
    std::uniform_real_distribution<double> some(kReconnectMinS, kReconnectMaxS);
    device.connect_at = now_s() + (pause < 0 ? some(chance_) : pause);
}

void Fleet::seat(const std::vector<std::optional<std::size_t>>& nodes) {
    for (std::uint32_t i = 0; i < devices_.size(); ++i) {
        Device& device = devices_[i];
        device.nodes.clear();
        if (nodes.at(i)) device.nodes.push_back(*nodes[i]);
        if (device.connection != kNone && device.node != nodes[i]) lose(i, 0);
    }
}

void Fleet::lose_network(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto device = static_cast<std::uint32_t>(chance_() % devices_.size());
        if (devices_[device].live) lose(device, -1);
    }
}

// Sending

void Fleet::pace() {
    const auto due = static_cast<std::uint64_t>((now_s() - begun_) * rate_);
    for (auto left = std::min<std::uint64_t>(due - issued_, static_cast<std::uint64_t>(rate_)); left > 0;
         --left)
        send_one();
    issued_ = due;
}

void Fleet::send_one() {
    const auto chat = static_cast<std::uint32_t>(chance_() % chats_.size());
    const auto sender = members_[chat][chance_() % members_[chat].size()];
    Device& device = devices_[sender];
    if (device.pending.size() >= kBacklog) {
        ++held_back_;
        return;
    }
    Message message;
    message.chat = chat;
    message.device = sender;
    message.invoked_at = now_s();
    message.id.resize(bench::kIdLength);
    bench::put_id(message.id.data(), 4, sender, history_.size());
    const auto number = history_.begin(std::move(message));
    history_.at(number).digest = digest(text_of(number));
    auto& pending = device.pending[number];
    if (device.live) push(sender, number, pending);
}

std::string Fleet::text_of(std::uint32_t message) const {
    std::string out(texts_.length(), '\0');
    texts_.put(out.data(), message >> 16U, message);
    return out;
}

void Fleet::push(std::uint32_t index, std::uint32_t number, Pending& pending) {
    Message& message = history_.at(number);
    ++message.attempts;
    pending.in_flight = true;
    pending.sent_at = now_s();
    const std::string frame = R"({"type":"message","ref":")" + std::to_string(number) +
                              R"(","data":{"id":")" + message.id + R"(","chat_id":")" + chats_[message.chat] +
                              R"(","type":"text","text":")" + text_of(number) + R"("}})";
    connections_.send(devices_[index].connection, frame.data(), frame.size());
}

void Fleet::push_all(std::uint32_t index) {
    for (auto& [message, pending] : devices_[index].pending)
        if (!pending.in_flight) push(index, message, pending);
}

void Fleet::now_unknown(std::uint32_t message, Pending& pending, double retry_in) {
    if (pending.in_flight) {
        pending.in_flight = false;
        pending.maybe_stored = true;
        ++history_.at(message).unknown;
    }
    pending.retry_at = now_s() + retry_in;
}

// Receiving

void Fleet::on_upgraded(std::uint32_t connection) {
    const Device& device = devices_[device_of_[connection]];
    const auto frame = json{{"type", "authenticate"},
                            {"ref", "auth"},
                            {"data", {{"token", device.token}, {"cursor", device.cursor}}}}
                           .dump();
    connections_.send(connection, frame.data(), frame.size());
}

void Fleet::on_close(std::uint32_t connection, int code, std::string_view reason) {
    const auto device = device_of_[connection];
    if (device == kNone) return;
    double pause = -1;
    if (code == kRestarting && !reason.empty())
        pause = json::parse(reason).at("retry_after_ms").get<double>() / 1000;
    lose(device, pause);
}

void Fleet::on_text(std::uint32_t connection, const char* data, std::size_t size) {
    const auto index = device_of_[connection];
    if (index == kNone) return;
    const auto frame = json::parse(data, data + size);
    const auto& kind = frame.at("type").get_ref<const std::string&>();
    if (kind == "ack") {
        acked(index, frame);
    } else if (kind == "error") {
        refused(index, frame);
    } else if (kind == "caught_up" || kind == "cursor") {
        Device& device = devices_[index];
        device.cursor = (frame.contains("data") ? frame["data"] : frame).at("cursor");
        if (kind == "caught_up") {
            device.live = true;
            ++connects_;
            push_all(index);
        }
    } else if (kind == "resync_required") {
        throw std::runtime_error(names_[index] + " was told to begin anew: " + frame.dump());
    } else if (std::ranges::find(kDurable, kind) != kDurable.end()) {
        Entry entry;
        entry.seq = frame["seq"];
        if (kind == "message") {
            entry.id = history_.id_of(frame.at("data").at("id").get_ref<const std::string&>());
            entry.digest = digest(frame["data"].value("text", ""));
        }
        take(index, frame["chat_id"], entry);
    }
}

void Fleet::acked(std::uint32_t index, const json& frame) {
    const auto number = number_in(frame.at("ref").get_ref<const std::string&>());
    if (number >= history_.size()) return;
    Message& message = history_.at(number);
    const std::uint64_t seq = frame.at("data").at("seq");
    const double now = now_s();
    // An answer to each attempt counts: two that differ in their seq are an anomaly.
    message.acks.emplace_back(seq, now);
    auto& pending = devices_[index].pending;
    const auto found = pending.find(number);
    if (found == pending.end()) return;
    ++acked_;
    ack_s_.push_back(static_cast<float>(now - found->second.sent_at));
    if (tell_acks_) fresh_acks_.push_back({index, message.invoked_at, now - message.invoked_at});
    pending.erase(found);
    take(index, chats_[message.chat], {seq, history_.id_of(message.id), message.digest});
}

void Fleet::refused(std::uint32_t index, const json& frame) {
    const auto ref = frame.value("ref", "");
    if (ref == "auth") throw std::runtime_error(names_[index] + " may not connect: " + frame.dump());
    const auto number = number_in(ref);
    auto& all = devices_[index].pending;
    const auto found = all.find(number);
    if (found == all.end()) return;
    const int status = frame.at("error").value("status", 0);
    const bool final = status >= 400 && status < 500 && status != 408 && status != 429;
    if (final && !found->second.maybe_stored) {
        ++history_.at(number).failed;
        all.erase(found);
    } else {
        now_unknown(number, found->second, kRetryS);
    }
}

// The client rule: next is applied, older is dropped, newer waits for the gap to close.
void Fleet::take(std::uint32_t index, const std::string& chat, const Entry& entry) {
    const auto number = chat_numbers_.find(chat);
    if (number == chat_numbers_.end()) return;  // one of the test's own
    const auto held = devices_[index].logs.find(number->second);
    if (held == devices_[index].logs.end()) return history_.apply(index, number->second, entry);  // a leak
    Log& log = held->second;
    if (entry.seq <= log.last) return;
    if (entry.seq > log.last + 1) {
        if (log.waiting.empty()) log.waiting_since = now_s();
        log.waiting.emplace(entry.seq, entry);
        return;
    }
    history_.apply(index, number->second, entry);
    log.last = entry.seq;
    for (auto next = log.waiting.begin(); next != log.waiting.end() && next->first <= log.last + 1;
         next = log.waiting.erase(next)) {
        log.waiting_since = now_s();
        if (next->first <= log.last) continue;
        history_.apply(index, number->second, next->second);
        log.last = next->first;
    }
}

void Fleet::look_after() {
    const double now = now_s();
    for (std::uint32_t i = 0; i < devices_.size(); ++i) {
        Device& device = devices_[i];
        const bool gap = std::ranges::any_of(device.logs, [now](const auto& each) {
            return !each.second.waiting.empty() && now - each.second.waiting_since > kGapPatienceS;
        });
        if (gap && device.live) {
            ++healed_;
            for (auto& [chat, log] : device.logs)
                log.waiting.clear();
            lose(i, 0);
        }
        for (auto& [message, pending] : device.pending) {
            if (pending.in_flight && now - pending.sent_at > kAnswerPatienceS) now_unknown(message, pending);
            if (!pending.in_flight && device.live && now >= pending.retry_at) push(i, message, pending);
        }
    }
}

// Looking

bool Fleet::settled() const {
    return std::ranges::all_of(devices_, [](const Device& device) { return device.pending.empty(); });
}

bool Fleet::level(const std::unordered_map<std::string, std::uint64_t>& heads) const {
    return std::ranges::all_of(heads, [this](const auto& head) {
        const auto chat = chat_numbers_.at(head.first);
        return std::ranges::all_of(members_[chat], [&](std::uint32_t member) {
            return devices_[member].logs.at(chat).last >= head.second;
        });
    });
}

json Fleet::state() {
    std::size_t live = 0;
    std::size_t pending = 0;
    for (const auto& device : devices_) {
        if (device.live) ++live;
        pending += device.pending.size();
    }
    json out = {{"live", live}, {"acked", acked_}, {"pending", pending}, {"held_back", held_back_}};
    if (tell_acks_) {
        out["acks"] = std::exchange(fresh_acks_, json::array());
        auto& waiting = out["waiting"] = json::array();
        for (std::size_t i = 0; i < devices_.size(); ++i)
            for (const auto& each : devices_[i].pending)
                if (const auto at = history_.at(each.first).invoked_at; at >= waiting_since_)
                    waiting.push_back({i, at});
    }
    return out;
}

json Fleet::report() {
    std::ranges::sort(ack_s_);
    const auto at = [this](double share) {
        if (ack_s_.empty()) return 0.0;
        const auto place = static_cast<std::size_t>(static_cast<double>(ack_s_.size()) * share);
        return static_cast<double>(ack_s_[std::min(place, ack_s_.size() - 1)]) * 1000;
    };
    return {{"ack_p50_ms", at(0.5)},
            {"ack_p99_ms", at(0.99)},
            {"held_back", held_back_},
            {"connections", connects_},
            {"healed", healed_}};
}

void Fleet::write(const std::string& path) const {
    history_.write(path, names_, users_, chats_);
}

}  // namespace load
