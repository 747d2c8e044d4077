#include "hint.hpp"

#include <supd/nodes/limits.hpp>

#include <cstring>

namespace supd::nodes {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kHead = 1 + 8 + 1;
enum class Kind : char { events = 1, chat_frame, marks, device, revoked, lease };

class Writer {
public:
    Writer(NodeId from, Kind kind) {
        out_ += kVersion;
        number(from);
        out_ += static_cast<char>(kind);
    }
    void number(std::uint64_t value) {
        const auto big = __builtin_bswap64(value);
        out_.append(reinterpret_cast<const char*>(&big), sizeof big);
    }
    void count(std::size_t value) {
        const auto big = __builtin_bswap32(static_cast<std::uint32_t>(value));
        out_.append(reinterpret_cast<const char*>(&big), sizeof big);
    }
    template <class Tag>
    void id(const base::Id<Tag>& value) {
        out_.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
    }
    void text(std::string_view value) {
        count(value.size());
        out_ += value;
    }
    void users(const std::vector<base::UserId>& all) {
        count(all.size());
        for (const auto& user : all)
            id(user);
    }
    void reserve(std::size_t more) { out_.reserve(out_.size() + more); }
    std::string take() { return std::move(out_); }

private:
    std::string out_;
};

/// Reads zeros once something was missing; ended() says whether all was there and nothing more.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::string_view bytes(std::size_t size) {
        if (size > rest_.size()) {
            fault_ = true;
            rest_ = {};
            return {};
        }
        const auto out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }
    std::uint64_t number() {
        std::uint64_t big = 0;
        if (const auto part = bytes(sizeof big); !part.empty()) std::memcpy(&big, part.data(), sizeof big);
        return __builtin_bswap64(big);
    }
    /// A list's length: each item takes at least `least` bytes, so nothing larger than the hint is reserved.
    std::size_t count(std::size_t most, std::size_t least) {
        std::uint32_t big = 0;
        if (const auto part = bytes(sizeof big); !part.empty()) std::memcpy(&big, part.data(), sizeof big);
        const std::size_t value = __builtin_bswap32(big);
        if (value <= most && value * least <= rest_.size()) return value;
        fault_ = true;
        return 0;
    }
    template <class Id>
    Id id() {
        Id out;
        if (const auto part = bytes(out.bytes.size()); !part.empty())
            std::memcpy(out.bytes.data(), part.data(), out.bytes.size());
        return out;
    }
    std::string_view text() { return bytes(count(rest_.size(), 1)); }
    std::vector<base::UserId> users() {
        std::vector<base::UserId> out(count(kMaxHintUsers, base::Uuid().size()));
        for (auto& user : out)
            user = id<base::UserId>();
        return out;
    }
    bool ended() const noexcept { return !fault_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool fault_ = false;
};

constexpr std::size_t kLeastEvent = 16 + 8 + 4 + 4 + 4;

Events read_events(Reader& in, const Follows& follows) {
    Events out;
    for (auto left = in.count(kMaxHintEvents, kLeastEvent); left > 0; --left) {
        ws::ChatEvent event;
        event.chat = in.id<base::ChatId>();
        event.seq = static_cast<std::int64_t>(in.number());
        event.joined = in.users();
        event.left = in.users();
        const auto json = in.text();
        if (event.joined.empty() && !follows(event.chat)) continue;
        event.frame = ws::make_frame(json);
        out.list.push_back(std::move(event));
    }
    return out;
}

constexpr std::size_t kLeastMark = 16 + 16 + 4;

MarksMoved read_marks(Reader& in, const Follows& follows) {
    MarksMoved out;
    out.head.owner = in.id<ws::MarkOwner>();
    out.head.version = static_cast<std::int64_t>(in.number());
    for (auto left = in.count(kMaxHintMarks, kLeastMark); left > 0; --left) {
        ws::Mark mark;
        mark.chat = in.id<base::ChatId>();
        mark.only = in.id<base::UserId>();
        const auto json = in.text();
        // What is for one user counts while they still read which chats they are in.
        if (mark.only.is_nil() && !follows(mark.chat)) continue;
        mark.frame = ws::make_frame(json);
        out.list.push_back(std::move(mark));
    }
    return out;
}

struct Encoder {
    NodeId from;
    std::string operator()(const Events& hint) const {
        std::vector<const ws::ChatEvent*> all;
        for (const auto& event : hint.list)
            all.push_back(&event);
        return encode_events(from, all);
    }
    std::string operator()(const ChatFrame& hint) const {
        Writer out(from, Kind::chat_frame);
        out.id(hint.chat);
        out.id(hint.except);
        out.text(hint.json);
        return out.take();
    }
    std::string operator()(const MarksMoved& hint) const { return encode_marks(from, hint.head, hint.list); }
    std::string operator()(const DeviceAttached& hint) const {
        Writer out(from, Kind::device);
        out.id(hint.user);
        out.id(hint.device);
        out.number(static_cast<std::uint64_t>(hint.at));
        return out.take();
    }
    std::string operator()(const LeaseTold& hint) const {
        Writer out(from, Kind::lease);
        out.id(hint.user);
        out.number(hint.released ? 1 : 0);
        out.text(hint.value);
        return out.take();
    }
    std::string operator()(const SessionsRevoked&) const { return Writer(from, Kind::revoked).take(); }
};

}  // namespace

std::string encode_events(NodeId from, const std::vector<const ws::ChatEvent*>& events) {
    Writer out(from, Kind::events);
    std::size_t bytes = 0;
    for (const auto* event : events)
        bytes += kLeastEvent + event->frame->json().size();
    out.reserve(bytes);
    out.count(events.size());
    for (const auto* event : events) {
        out.id(event->chat);
        out.number(static_cast<std::uint64_t>(event->seq));
        out.users(event->joined);
        out.users(event->left);
        out.text(event->frame->json());
    }
    return out.take();
}

std::string encode_marks(NodeId from, const ws::LogSource::MarkHead& head,
                         const std::vector<ws::Mark>& marks) {
    Writer out(from, Kind::marks);
    out.id(head.owner);
    out.number(static_cast<std::uint64_t>(head.version));
    out.count(marks.size());
    for (const auto& mark : marks) {
        out.id(mark.chat);
        out.id(mark.only);
        out.text(mark.frame->json());
    }
    return out.take();
}

std::string encode(NodeId from, const Hint& hint) {
    return std::visit(Encoder{from}, hint);
}

std::optional<NodeId> sender_of(std::string_view bytes) noexcept {
    if (bytes.size() < kHead || bytes[0] != kVersion) return std::nullopt;
    return Reader(bytes.substr(1)).number();
}

std::optional<Hint> decode(std::string_view bytes, const Follows& follows) {
    if (!sender_of(bytes)) return std::nullopt;
    Reader in(bytes.substr(kHead));
    Hint out;
    switch (static_cast<Kind>(bytes[kHead - 1])) {
        case Kind::events:
            out = read_events(in, follows);
            break;
        case Kind::chat_frame: {
            ChatFrame hint;
            hint.chat = in.id<base::ChatId>();
            hint.except = in.id<base::UserId>();
            hint.json = in.text();
            out = std::move(hint);
            break;
        }
        case Kind::marks:
            out = read_marks(in, follows);
            break;
        case Kind::device: {
            DeviceAttached hint;
            hint.user = in.id<base::UserId>();
            hint.device = in.id<base::DeviceId>();
            hint.at = static_cast<base::Millis>(in.number());
            out = hint;
            break;
        }
        case Kind::lease: {
            LeaseTold hint;
            hint.user = in.id<base::UserId>();
            hint.released = in.number() != 0;
            hint.value = in.text();
            if (hint.value.size() > kMaxLeaseValue) return std::nullopt;
            out = std::move(hint);
            break;
        }
        case Kind::revoked:
            out = SessionsRevoked{};
            break;
        default:
            return std::nullopt;
    }
    if (!in.ended()) return std::nullopt;
    return out;
}

}  // namespace supd::nodes
