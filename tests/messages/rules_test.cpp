#include <supd/base/json.hpp>
#include <supd/messages/limits.hpp>

#include <chatlog/store.hpp>
#include <chats/people.hpp>
#include <messages/rules.hpp>
#include <messages/wire.hpp>
#include <nlohmann/json.hpp>

namespace supd::messages {
namespace {

constexpr db::Statement kSend{
    "test_send",
    "select * from append_messages(array[$5::bigint], array[$1::uuid], array[$2::uuid], array[$3::uuid], "
    "array[$3::uuid], "
    "array['text'], array[$4::text], array[$6::uuid], array[$7::text], array[$8::bytea], array[null::int])"};
constexpr db::Statement kEverything{
    "test_everything",
    "select coalesce(string_agg(t, ' '), '') from (select m::text from messages m union all select c::text "
    "from chat_changes c "
    "union all select e::text from message_edits e union all select r::text from message_reactions r) x (t)"};
constexpr db::Statement kMakeDue{
    "test_make_due", "update messages set expires_at = now() - interval '1 second' where id = $1"};
constexpr db::Statement kHead{"test_head", "select last_seq from chat_heads where chat_id = $1"};

class MessagesTest : public chats::ChatsTest {
protected:
    struct Sent {
        MessageId id;
        std::int64_t outcome, seq;
    };
    Sent send(ChatId where, UserId sender, const std::string& text, MessageId id = MessageId::make(),
              std::optional<MessageId> reply = std::nullopt, std::string digest = "d",
              std::optional<std::string> extra = std::nullopt) {
        return run([&](db::Transaction& tx) {
            const auto rows = tx.exec(kSend, where, id, sender, text, chatlog::lock_key(where), reply, extra,
                                      db::Bytes{digest});
            const auto row = rows.front();
            return Sent{id, row.integer(1), row.maybe_integer(2).value_or(0)};
        });
    }
    static Act on(UserId actor, MessageId message) {
        Act out;
        out.actor = actor;
        out.message = message;
        out.change = ChangeId::make();
        return out;
    }
    std::int64_t head(ChatId where) {
        return run([&](db::Transaction& tx) { return tx.exec(kHead, where).front().integer(0); });
    }
    Item see(UserId user, MessageId message) {
        return run([&](db::Transaction& tx) { return visible_message(tx, message, user); });
    }
    Page page(UserId user, ChatId where, From from, std::int64_t seq, std::size_t limit) {
        return run([&](db::Transaction& tx) { return history(tx, where, user, from, seq, limit); });
    }
    static std::vector<std::int64_t> seqs(const Page& page) {
        std::vector<std::int64_t> out;
        for (const auto& item : page.items)
            out.push_back(item.message.seq);
        return out;
    }
    UserId ann = person(), bob = person();
    ChatId chat = group(ann, {bob});
};

using Seqs = std::vector<std::int64_t>;

TEST_F(MessagesTest, sending_judges_every_row) {
    const auto first = send(chat, ann, "one");
    EXPECT_EQ(first.outcome, 0);
    EXPECT_EQ(first.seq, 2);
    const auto again = send(chat, ann, "one", first.id);
    EXPECT_EQ(again.outcome, 1);
    EXPECT_EQ(again.seq, 2);
    EXPECT_EQ(send(chat, ann, "two", first.id, std::nullopt, "other").outcome, 2);
    EXPECT_EQ(send(chat, bob, "one", first.id).outcome, 2);
    EXPECT_EQ(send(chat, person(), "stranger").outcome, 3);
    EXPECT_EQ(send(ChatId::make(), ann, "nowhere").outcome, 3);
    const auto elsewhere = group(ann, {bob});
    EXPECT_EQ(send(elsewhere, ann, "reply", MessageId::make(), first.id).outcome, 5);
    EXPECT_EQ(send(chat, ann, "reply", MessageId::make(), first.id).outcome, 0);
    const auto channel = group(ann, {bob}, chats::Type::channel);
    EXPECT_EQ(send(channel, bob, "reader").outcome, 4);
    EXPECT_EQ(send(channel, ann, "owner").outcome, 0);
    run([&](db::Transaction& tx) { return chats::change_status(tx, act(ann, chat), chats::Status::closed); });
    EXPECT_EQ(send(chat, ann, "late").outcome, 4);
}

TEST_F(MessagesTest, history_pages_and_respects_the_join) {
    for (int i = 0; i < 6; ++i)
        send(chat, ann, std::to_string(i));  // 2..7
    EXPECT_EQ(seqs(page(bob, chat, From::newest, 0, 2)), (Seqs{6, 7}));
    EXPECT_TRUE(page(bob, chat, From::newest, 0, 2).has_more);
    EXPECT_EQ(seqs(page(bob, chat, From::before, 4, 5)), (Seqs{2, 3}));
    EXPECT_FALSE(page(bob, chat, From::before, 4, 2).has_more);
    EXPECT_EQ(seqs(page(bob, chat, From::after, 3, 2)), (Seqs{4, 5}));
    EXPECT_TRUE(page(bob, chat, From::after, 3, 2).has_more);
    EXPECT_EQ(seqs(page(bob, chat, From::around, 4, 3)), (Seqs{3, 4, 5}));
    EXPECT_EQ(seqs(page(bob, chat, From::around, 4, 1)), (Seqs{4}));

    const auto eve = person(), stranger = person();
    run([&](db::Transaction& tx) { return chats::add_members(tx, act(ann, chat), {eve}); });  // 8
    const auto after = send(chat, ann, "after");
    EXPECT_EQ(seqs(page(eve, chat, From::newest, 0, 50)), (Seqs{9}));
    EXPECT_EQ(seqs(page(eve, chat, From::after, 0, 50)), (Seqs{9}));
    EXPECT_EQ(seqs(page(eve, chat, From::around, 4, 50)), (Seqs{9}));
    EXPECT_EQ(see(eve, after.id).message.text, "after");
    const auto old = page(bob, chat, From::after, 1, 1).items.front().message.id;
    for (const auto& fn : std::vector<std::function<void(db::Transaction&)>>{
             [&](db::Transaction& tx) { visible_message(tx, old, eve); },
             [&](db::Transaction& tx) { react(tx, on(eve, old), "+", true); },
             [&](db::Transaction& tx) { remove(tx, on(eve, old)); },
             [&](db::Transaction& tx) { hide(tx, eve, old); },
             [&](db::Transaction& tx) { edit(tx, on(eve, old), "x"); },
             [&](db::Transaction& tx) { history(tx, chat, stranger, From::newest, 0, 5); }})
        EXPECT_EQ(refusal(fn), "not_found");
}

TEST_F(MessagesTest, an_edit_is_an_entry_and_its_retry_is_none) {
    const auto sent = send(chat, ann, "frist");
    const auto first = on(ann, sent.id);
    const auto done = run([&](db::Transaction& tx) { return edit(tx, first, "first"); });
    EXPECT_EQ(done.seq, sent.seq + 1);
    ASSERT_EQ(done.events.size(), 1U);
    const auto event = base::parse_json(done.events.front().frame->json());
    EXPECT_EQ(event["type"], "message_edited");
    EXPECT_EQ(event["data"]["text"], "first");
    const auto again = run([&](db::Transaction& tx) { return edit(tx, first, "first"); });
    EXPECT_EQ(again.seq, done.seq);
    EXPECT_TRUE(again.events.empty());
    EXPECT_EQ(head(chat), done.seq);
    EXPECT_EQ(see(bob, sent.id).message.text, "first");
    EXPECT_TRUE(see(bob, sent.id).message.edited_at.has_value());
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit(tx, on(bob, sent.id), "stolen"); }), "forbidden");
    auto reused = first;
    reused.actor = bob;
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit(tx, reused, "x"); }), "id_reused");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit(tx, first, "other text"); }), "id_reused");
    auto elsewhere = first;
    elsewhere.message = send(chat, ann, "another").id;
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit(tx, elsewhere, "first"); }), "id_reused");
    const auto kept = run([&](db::Transaction& tx) { return store::edits(tx, sent.id, 0, 10); });
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept.front().text, "frist");
}

TEST_F(MessagesTest, deleting_leaves_no_trace_of_the_text) {
    const auto sent = send(chat, ann, "canary-one", MessageId::make(), std::nullopt, "digest-canary",
                           R"({"metadata":{"k":"canary-meta"}})");
    run([&](db::Transaction& tx) { return edit(tx, on(ann, sent.id), "canary-two"); });
    run([&](db::Transaction& tx) { return edit(tx, on(ann, sent.id), "canary-three"); });
    run([&](db::Transaction& tx) { return react(tx, on(bob, sent.id), "canary", true); });
    EXPECT_EQ(refusal([&](db::Transaction& tx) { remove(tx, on(bob, sent.id)); }), "forbidden");
    const auto done = run([&](db::Transaction& tx) { return remove(tx, on(ann, sent.id)); });
    EXPECT_EQ(done.events.size(), 1U);
    const auto all = run([&](db::Transaction& tx) { return tx.exec(kEverything).front().text(0); });
    EXPECT_EQ(all.find("canary-"), std::string::npos);
    EXPECT_EQ(all.find("6469676573742d63616e617279"), std::string::npos) << "the digest is gone too";

    const auto left = see(bob, sent.id);
    EXPECT_TRUE(left.message.deleted_at.has_value());
    EXPECT_FALSE(left.message.text.has_value());
    EXPECT_TRUE(left.reactions.empty());
    const auto twice = run([&](db::Transaction& tx) { return remove(tx, on(ann, sent.id)); });
    EXPECT_EQ(twice.seq, done.seq);
    EXPECT_EQ(twice.id, done.id);
    EXPECT_TRUE(twice.events.empty());
    EXPECT_EQ(send(chat, ann, "canary-one", sent.id).outcome, 1) << "a retry of the send stays a repeat";
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit(tx, on(ann, sent.id), "x"); }), "message_deleted");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { react(tx, on(bob, sent.id), "+", true); }),
              "message_deleted");
}

TEST_F(MessagesTest, an_admin_deletes_what_others_said_but_not_in_a_direct_chat) {
    const auto said = send(chat, bob, "x");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { remove(tx, on(ann, said.id)); }), "ok");
    const auto direct = group(ann, {bob}, chats::Type::direct);
    const auto private_one = send(direct, bob, "x");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { remove(tx, on(ann, private_one.id)); }), "forbidden");
}

TEST_F(MessagesTest, the_clock_deletes_what_is_due_and_nothing_else) {
    const auto sent = send(chat, ann, "canary-clock");
    const auto kept = send(chat, ann, "stays");
    EXPECT_TRUE(run([&](db::Transaction& tx) { return expire(tx, kept.id); }).events.empty());
    run([&](db::Transaction& tx) { return edit(tx, on(ann, sent.id), "canary-edit"); });
    run([&](db::Transaction& tx) { tx.exec(kMakeDue, sent.id); });
    // Gone at once, whenever the worker comes.
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit(tx, on(ann, sent.id), "x"); }), "message_deleted");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { react(tx, on(bob, sent.id), "+", true); }),
              "message_deleted");
    EXPECT_TRUE(run([&](db::Transaction& tx) { return store::edits(tx, sent.id, 0, 10); }).empty());
    const auto log = run([&](db::Transaction& tx) { return chatlog::store::entries(tx, chat, 0, 99, 99); });
    for (const auto& event : log.events)
        EXPECT_EQ(event.frame->json().find("canary"), std::string::npos) << event.frame->json();
    EXPECT_EQ(run([&](db::Transaction& tx) { return store::due(tx, 10); }), std::vector{sent.id});
    const auto done = run([&](db::Transaction& tx) { return expire(tx, sent.id); });
    ASSERT_EQ(done.events.size(), 1U);
    EXPECT_TRUE(base::parse_json(done.events.front().frame->json())["data"]["deleted_by"].is_null());
    EXPECT_TRUE(see(bob, sent.id).message.deleted_at.has_value());
    EXPECT_TRUE(run([&](db::Transaction& tx) { return expire(tx, sent.id); }).events.empty());
    EXPECT_TRUE(run([&](db::Transaction& tx) { return store::due(tx, 10); }).empty());
}

TEST_F(MessagesTest, its_sender_may_delete_what_is_due_before_the_clock_does) {
    const auto sent = send(chat, ann, "canary-clock");
    run([&](db::Transaction& tx) { tx.exec(kMakeDue, sent.id); });
    EXPECT_EQ(run([&](db::Transaction& tx) { return remove(tx, on(ann, sent.id)); }).events.size(), 1U);
    EXPECT_TRUE(run([&](db::Transaction& tx) { return expire(tx, sent.id); }).events.empty());
}

TEST_F(MessagesTest, hiding_is_for_one_alone) {
    const auto sent = send(chat, ann, "x");
    const auto before = head(chat);
    run([&](db::Transaction& tx) { return hide(tx, bob, sent.id); });
    EXPECT_EQ(head(chat), before);
    EXPECT_TRUE(page(bob, chat, From::newest, 0, 5).items.empty());
    EXPECT_EQ(refusal([&](db::Transaction& tx) { visible_message(tx, sent.id, bob); }), "not_found");
    EXPECT_EQ(page(ann, chat, From::newest, 0, 5).items.size(), 1U);
}

TEST_F(MessagesTest, a_reaction_that_changes_nothing_is_answered_by_what_made_it_so) {
    const auto sent = send(chat, ann, "x");
    const auto add = [&](const std::string& emoji, bool there) {
        return run([&](db::Transaction& tx) { return react(tx, on(bob, sent.id), emoji, there); });
    };
    const auto stored = see(bob, sent.id).message;
    const auto never = add("one", false);
    EXPECT_EQ(never.id.bytes, sent.id.bytes);
    EXPECT_EQ(never.chat, chat);
    EXPECT_EQ(never.seq, sent.seq);
    EXPECT_EQ(never.created_at, stored.created_at);
    EXPECT_TRUE(never.events.empty());

    const auto one = add("one", true), two = add("two", true);
    const auto again = add("one", true);
    EXPECT_EQ(again.id, one.id);
    EXPECT_EQ(again.seq, one.seq);
    EXPECT_EQ(again.created_at, one.created_at);
    EXPECT_EQ(add("two", true).seq, two.seq);

    const auto taken = add("two", false);
    EXPECT_EQ(add("two", false).id, taken.id);
    EXPECT_EQ(add("three", false).id.bytes, sent.id.bytes) << "another emoji was taken back";
    EXPECT_EQ(head(chat), taken.seq);
}

TEST_F(MessagesTest, a_reaction_counts_once) {
    const auto sent = send(chat, ann, "x");
    const auto thumb = std::string("\xF0\x9F\x91\x8D");
    const auto change = on(bob, sent.id);
    const auto first = run([&](db::Transaction& tx) { return react(tx, change, thumb, true); });
    EXPECT_EQ(base::parse_json(first.events.front().frame->json())["data"]["count"], 1);
    const auto retry = run([&](db::Transaction& tx) { return react(tx, change, thumb, true); });
    EXPECT_EQ(retry.seq, first.seq);
    const auto again = run([&](db::Transaction& tx) { return react(tx, on(bob, sent.id), thumb, true); });
    EXPECT_EQ(again.seq, first.seq);
    EXPECT_TRUE(again.events.empty());
    run([&](db::Transaction& tx) { return react(tx, on(ann, sent.id), thumb, true); });
    auto seen = see(bob, sent.id).reactions;
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen.front().emoji, thumb);
    EXPECT_EQ(seen.front().count, 2);
    EXPECT_TRUE(seen.front().me);
    run([&](db::Transaction& tx) { return react(tx, on(bob, sent.id), thumb, false); });
    seen = see(bob, sent.id).reactions;
    EXPECT_EQ(seen.front().count, 1);
    EXPECT_FALSE(seen.front().me);
    for (std::int64_t i = 0; i < kMaxReactionsPerUser; ++i)
        run([&](db::Transaction& tx) { return react(tx, on(bob, sent.id), "r" + std::to_string(i), true); });
    EXPECT_EQ(refusal([&](db::Transaction& tx) { react(tx, on(bob, sent.id), "more", true); }),
              "too_many_reactions");
    const auto listed =
        run([&](db::Transaction& tx) { return store::reactions(tx, sent.id, std::nullopt, 100); });
    ASSERT_EQ(listed.size(), 11U);
    const auto json = base::parse_json(reactions_json(listed, 4));
    const auto cursor = reaction_cursor(json["next_cursor"].get<std::string>());
    const auto rest = run([&](db::Transaction& tx) { return store::reactions(tx, sent.id, cursor, 100); });
    EXPECT_EQ(rest.size(), 7U);
}

}  // namespace
}  // namespace supd::messages
