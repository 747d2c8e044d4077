#include "buckets.hpp"
#include "channels.hpp"
#include "hint.hpp"
#include "interest.hpp"
#include "lease_table.hpp"

#include <supd/base/ids.hpp>
#include <supd/cache/client.hpp>
#include <supd/cache/subscriber.hpp>
#include <supd/nodes/limits.hpp>
#include <supd/nodes/nodes.hpp>
#include <supd/ws/relay.hpp>

#include <boost/asio/post.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <utility>

namespace supd::nodes {
namespace {

namespace asio = boost::asio;

NodeId draw_node() {
    const auto random = base::make_uuid_v7();
    NodeId out = 0;
    std::memcpy(&out, random.data() + 8, sizeof out);
    return out;
}

}  // namespace

struct Nodes::Impl final : ws::Relay {
    Impl(asio::io_context& context, ws::Hub& to, cache::Settings settings)
        : home(context),
          hub(to),
          client(context, std::move(settings)),
          subscriber(client, [this](std::string_view, std::string_view payload) { on_hint(payload); }),
          interest([this](const std::string& channel, bool wanted) {
              if (wanted)
                  subscriber.want(name_of(channel));
              else
                  subscriber.forget(name_of(channel));
          }) {}

    // With the stream in it: entries of another database - a restored copy on the same Redis, a process that
    // has not seen the fail-over - have the same chats and other texts, and are not to be heard.
    std::string name_of(std::string_view channel) const {
        return std::string(kPrefix) + stream + std::string(channel.substr(kPrefix.size() - 1));
    }

    // -- what this process tells

    // The writer waits for nothing here: encoding is the home thread's work.
    void events_published(std::shared_ptr<const std::vector<ws::ChatEvent>> events) override {
        std::size_t bytes = 0;
        for (const auto& event : *events)
            bytes += event.frame->json().size();
        if (!client.up() || queued.load(std::memory_order_relaxed) + bytes > kMaxQueuedBytes) {
            untold.fetch_add(events->size(), std::memory_order_relaxed);
            return;
        }
        queued.fetch_add(bytes, std::memory_order_relaxed);
        asio::post(home, [this, events = std::move(events), bytes] {
            queued.fetch_sub(bytes, std::memory_order_relaxed);
            publish(*events);
        });
    }

    void publish(const std::vector<ws::ChatEvent>& events) {
        std::array<std::vector<const ws::ChatEvent*>, kChatChannels> channels;
        for (const auto& event : events)
            channels[channel_number_of(event.chat)].push_back(&event);
        for (std::size_t number = 0; number < kChatChannels; ++number)
            if (!channels[number].empty())
                client.publish(name_of(chat_channel(number)), encode_events(me, channels[number]));
        // Who joins is not yet listening to the chat. Each is told of all: a process takes an entry once.
        for (const auto& event : events) {
            if (event.joined.empty() || event.joined.size() > kMaxJoinHints) continue;
            const auto bytes = encode_events(me, {&event});
            for (const auto& user : event.joined)
                client.publish(name_of(channel_of(user)), bytes);
        }
    }

    void tell(std::string_view channel, const Hint& hint) {
        if (client.up())
            client.publish(name_of(channel), encode(me, hint));
        else
            untold.fetch_add(1, std::memory_order_relaxed);
    }

    void chat_frame_sent(base::ChatId chat, ws::FramePtr frame, base::UserId except) override {
        tell(channel_of(chat), ChatFrame{chat, except, std::string(frame->json())});
    }
    void marks_sent(const ws::LogSource::MarkHead& head,
                    std::shared_ptr<const std::vector<ws::Mark>> marks) override {
        if (marks->empty()) return;
        const auto& first = marks->front();
        const auto channel = first.only.is_nil() ? channel_of(first.chat) : channel_of(first.only);
        if (client.up())
            client.publish(name_of(channel), encode_marks(me, head, *marks));
        else
            untold.fetch_add(1, std::memory_order_relaxed);
    }
    void device_attached(base::UserId user, base::DeviceId device, base::Millis at) override {
        tell(channel_of(user), DeviceAttached{user, device, at});
    }

    void chat_followed(base::ChatId chat, bool begins) override {
        chats.follow(chat, begins);
        interest.follow(channel_of(chat), begins);
    }
    void user_followed(base::UserId user, bool begins) override { interest.follow(channel_of(user), begins); }

    // -- what it hears

    void on_hint(std::string_view payload) {
        const auto from = sender_of(payload);
        if (from == me) return;  // Redis sends a channel's messages to the sender too
        auto hint = decode(payload, [this](base::ChatId chat) { return chats.followed(chat); });
        if (!hint) {
            unreadable.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        received.fetch_add(1, std::memory_order_relaxed);
        sender = *from;
        std::visit([this](auto& one) { take(one); }, *hint);
    }
    void take(Events& hint) {
        if (!hint.list.empty()) hub.receive_events(std::move(hint.list));
    }
    void take(const ChatFrame& hint) {
        if (!chats.followed(hint.chat)) return;
        hub.receive_chat_frame(hint.chat, ws::make_frame(hint.json), hint.except);
    }
    // What was passed over counts as not heard: otherwise its version would, and the sweep would not look.
    void take(MarksMoved& hint) {
        if (!hint.list.empty()) hub.receive_marks(hint.head, std::move(hint.list));
    }
    void take(const DeviceAttached& hint) {
        hub.receive_device(hint.user, hint.device, hint.at, me > sender);
    }
    void take(const LeaseTold& hint) { leases.take(sender, hint); }
    void take(const SessionsRevoked&) {
        if (revoked) revoked();
    }

    asio::io_context& home;
    ws::Hub& hub;
    const NodeId me = draw_node();
    std::string stream;  // set before anything is followed
    NodeId sender = 0;   // of the hint that is being taken
    std::function<void()> revoked;
    std::atomic<std::size_t> queued{0};
    std::atomic<std::uint64_t> untold{0};
    std::atomic<std::uint64_t> received{0};
    std::atomic<std::uint64_t> unreadable{0};
    cache::Client client;
    Buckets buckets{client};
    cache::Subscriber subscriber;
    Interest interest;
    FollowedChats chats;
    LeaseTable leases{home, me, client, interest,
                      [this](const std::string& channel, const Hint& hint) { tell(channel, hint); }};
};

// On the last io thread: the first one accepts connections.
Nodes::Nodes(async::IoThreads& threads, ws::Hub& hub, cache::Settings settings)
    : impl_(std::make_unique<Impl>(threads.context(threads.size() - 1), hub, std::move(settings))) {
    hub.relay_by(*impl_);
}

Nodes::~Nodes() = default;

void Nodes::start(const base::Uuid& epoch) {
    impl_->stream.resize(base::kUuidText);
    base::format_uuid(epoch, impl_->stream.data());
    impl_->interest.follow(kEverybody, true);
    impl_->client.start();
    impl_->subscriber.start();
    impl_->leases.start();
}

void Nodes::stop() {
    impl_->leases.stop();
    impl_->subscriber.stop();
    impl_->client.stop();
}

void Nodes::tell_revoked() {
    impl_->tell(kEverybody, SessionsRevoked{});
}

void Nodes::on_revoked(std::function<void()> call) {
    impl_->revoked = std::move(call);
}

http::SharedBuckets& Nodes::buckets() noexcept {
    return impl_->buckets;
}

Leases& Nodes::leases() noexcept {
    return impl_->leases;
}

Numbers Nodes::numbers() const {
    const auto& counters = impl_->client.counters();
    Numbers out;
    out.connected = impl_->client.up();
    out.commands = counters.commands.load();
    out.failures = counters.failures.load();
    out.dropped = counters.dropped.load();
    out.published = counters.published.load();
    out.untold = impl_->untold.load() + counters.untold.load();
    out.received = impl_->received.load();
    out.unreadable = impl_->unreadable.load();
    out.connects = counters.reconnects.load();
    out.subscriptions = impl_->subscriber.subscribed();
    out.subscriptions_wanted = impl_->interest.size();
    return out;
}

}  // namespace supd::nodes
