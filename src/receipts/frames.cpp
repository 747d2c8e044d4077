// Marks by the socket, and the frames that tell of them.
#include "context.hpp"

#include <supd/base/json.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/chats/membership.hpp>
#include <supd/receipts/limits.hpp>

#include <nlohmann/json.hpp>

#include <limits>

namespace supd::receipts {
namespace {

std::string frame_json(std::string_view type, const Moved& moved, std::int64_t seq) {
    std::string out = R"({"type":")";
    out += type;
    out += R"(","chat_id":")";
    moved.mark.chat.append_to(out);
    out += R"(","data":{"user_id":")";
    moved.mark.user.append_to(out);
    out += R"(","seq":)" + std::to_string(seq) + R"(,"at":")";
    base::append_time(out, moved.at);
    out += R"("}})";
    return out;
}

void send(ws::Hub& hub, const Moved& moved, ws::FramePtr frame) {
    const bool all = moved.member_count <= static_cast<std::int64_t>(chatlog::kMaxMarkMembers);
    hub.send_mark(moved.mark.chat, std::move(frame), all ? base::UserId() : moved.mark.user);
}

}  // namespace

void announce(ws::Hub& hub, const std::vector<Moved>& all) {
    for (const auto& moved : all) {
        // What was read was delivered: one frame says both.
        if (moved.delivered && (!moved.read || moved.mark.delivered > moved.mark.read))
            send(hub, moved, ws::make_frame(frame_json("delivered", moved, moved.mark.delivered)));
        if (moved.read) send(hub, moved, ws::make_frame(frame_json("read_receipt", moved, moved.mark.read)));
    }
}

asio::awaitable<std::string> on_mark(Context& context, ws::Command command, bool read) {
    base::ObjectReader reader(command.data());
    const auto chat = reader.id<ChatId>("chat_id");
    const auto seq = reader.integer("seq", 0, std::numeric_limits<std::int64_t>::max());
    reader.finish();
    const auto user = command.caller().user;
    // While the session catches up the hub does not know yet; then the database is asked.
    if (!context.hub.subscribed(command.session(), chat)) {
        auto work = [&](db::Transaction& tx) { chats::require_member(tx, chat, user); };
        co_await context.database.transact(db::Access::read_only, work);
    }
    Mark mark;
    mark.chat = chat;
    mark.user = user;
    (read ? mark.read : mark.delivered) = seq;
    context.coalescer.add(mark);
    co_return std::string();
}

}  // namespace supd::receipts
