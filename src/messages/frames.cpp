// The commands of messages on the socket.
#include "context.hpp"
#include "draft.hpp"
#include "rules.hpp"
#include "wire.hpp"

#include <supd/base/json.hpp>
#include <supd/messages/limits.hpp>
#include <supd/ws/session.hpp>

#include <nlohmann/json.hpp>

namespace supd::messages {
namespace {

struct NamedAct {
    Act act;
    bool by_id = false;  ///< `id` named the message: the only id that the client can know in the ack
};

/// `message_id` and the change's own `id`; when only `id` is given, it names the message.
NamedAct act_of(base::ObjectReader& reader, UserId actor) {
    NamedAct named;
    auto& act = named.act;
    act.actor = actor;
    const auto message = reader.maybe_id<MessageId>("message_id");
    const auto id = reader.maybe_id<ChangeId>("id");
    act.change = message && id ? *id : ChangeId::make();
    named.by_id = !message && id;
    if (message)
        act.message = *message;
    else if (id)
        act.message.bytes = id->bytes;
    else
        reader.fail("message_id", "required", "This field is required.");
    return named;
}

asio::awaitable<std::string> ack(Context& context, NamedAct named,
                                 std::function<Done(db::Transaction&)> rule) {
    const auto done = co_await change(context, std::move(rule));
    const auto& id = named.by_id ? named.act.message.bytes : done.id.bytes;
    co_return ack_json(id, done.chat, done.seq, done.created_at);
}

}  // namespace

void on_message(Context& context, ws::Command command, std::function<void()> done) {
    auto draft = read_draft(command.data(), command.caller());
    draft.socket = command.session().socket_id();
    const auto id = draft.id;
    const auto chat = draft.chat;
    command.drop_data();
    const auto parent = command.trace();
    auto answer = [command = std::move(command), done = std::move(done), id,
                   chat](const chatlog::Receipt& receipt) {
        try {
            chatlog::throw_unless_stored(receipt);
            auto& session = command.session();
            if (!session.hub.live) session.note_own(chat, receipt.seq);
            command.ack(ack_json(id.bytes, chat, receipt.seq, receipt.created_at));
        } catch (const base::Error& refusal) {
            command.refuse(refusal);
        }
        done();
    };
    context.writer.submit(std::move(draft), std::move(answer), parent);
}

asio::awaitable<std::string> on_edit(Context& context, ws::Command command) {
    base::ObjectReader reader(command.data());
    const auto named = act_of(reader, command.caller().user);
    const auto& act = named.act;
    const auto text = reader.text("text", {.min = 1, .max = kMaxTextBytes});
    reader.finish();
    auto rule = [&](db::Transaction& tx) { return edit(tx, act, text); };
    co_return co_await ack(context, named, rule);
}

asio::awaitable<std::string> on_delete(Context& context, ws::Command command) {
    base::ObjectReader reader(command.data());
    const auto named = act_of(reader, command.caller().user);
    const auto& act = named.act;
    const auto whom = reader.maybe_text("for", {.min = 1, .max = 16}).value_or("everyone");
    if (whom != "everyone" && whom != "me") reader.fail("for", "bad_format", "One of me, everyone.");
    reader.finish();
    if (whom == "me") {
        auto work = [&](db::Transaction& tx) { return hide(tx, act.actor, act.message); };
        const auto hidden = co_await context.database.transact(work);
        co_return ack_json(hidden.id.bytes, hidden.chat, hidden.seq, hidden.created_at);
    }
    auto rule = [&](db::Transaction& tx) { return remove(tx, act); };
    co_return co_await ack(context, named, rule);
}

asio::awaitable<std::string> on_reaction(Context& context, ws::Command command) {
    base::ObjectReader reader(command.data());
    const auto named = act_of(reader, command.caller().user);
    const auto& act = named.act;
    const auto emoji = reader.text("emoji", {.min = 0, .max = kMaxEmojiBytes});
    const auto action = reader.maybe_text("action", {.min = 1, .max = 16}).value_or("add");
    if (action != "add" && action != "remove") reader.fail("action", "bad_format", "One of add, remove.");
    reader.finish();
    check_emoji(emoji);
    auto rule = [&](db::Transaction& tx) { return react(tx, act, emoji, action == "add"); };
    co_return co_await ack(context, named, rule);
}

}  // namespace supd::messages
