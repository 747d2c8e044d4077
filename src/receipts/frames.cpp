// Marks by the socket, and the frames that tell of them.
#include "context.hpp"

#include <supd/base/json.hpp>
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

}  // namespace

void announce(ws::Hub& hub, const std::vector<Moved>& all) {
    for (auto at = all.begin(); at != all.end();) {
        const ws::LogSource::MarkHead head{at->owner, at->version};
        std::vector<ws::Mark> marks;
        for (; at != all.end() && at->owner == head.owner; ++at) {
            const auto& moved = *at;
            const bool everybody = moved.owner.bytes == moved.mark.chat.bytes;
            const auto only = everybody ? UserId() : moved.mark.user;
            const auto add = [&](std::string_view type, std::int64_t seq) {
                marks.push_back({moved.mark.chat, only, ws::make_frame(frame_json(type, moved, seq))});
            };
            // What was read was delivered: one frame says both.
            if (moved.delivered && (!moved.read || moved.mark.delivered > moved.mark.read))
                add("delivered", moved.mark.delivered);
            if (moved.read) add("read_receipt", moved.mark.read);
        }
        hub.send_marks(head, std::move(marks));
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
