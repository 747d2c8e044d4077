#include "people.hpp"

#include <supd/chats/chat.hpp>
#include <supd/chats/limits.hpp>

#include <algorithm>
#include <barrier>
#include <mutex>
#include <set>

namespace supd::chats {
namespace {

class CreateTest : public ChatsTest {};

constexpr db::Statement kManyChats{
    "test_many_chats",
    "with made as (insert into chats (id, type, created_by) select gen_random_uuid(), 'group', $1 "
    "from generate_series(1, $2::int) returning id) "
    "insert into chat_members (chat_id, user_id, from_seq) select id, $3, 1 from made returning chat_id"};
constexpr db::Statement kSayOften{
    "test_say_often",
    "with m as (insert into messages (chat_id, seq, id, sender_id, sender_device_id, type, text, digest, "
    "created_at, xid) select h.chat_id, h.last_seq + n, gen_random_uuid(), $2, $2, 'text', 'x', '', now(), "
    "pg_current_xact_id() from chat_heads h, generate_series(1, $3::int) n where h.chat_id = $1 returning "
    "seq) "
    "update chat_heads set last_seq = m.seq, last_message_seq = m.seq, last_message_at = now() "
    "from (select max(seq) as seq from m) m where chat_id = $1"};
constexpr db::Statement kHideFrom{"test_hide_from",
                                  "insert into message_hidden (user_id, message_id) select $2, id from "
                                  "messages where chat_id = $1 and seq >= $3 "
                                  "on conflict do nothing"};
constexpr db::Statement kForget{"test_forget", "update chats set status = 'deleted' where id = $1"};
constexpr db::Statement kLeave{"test_leave",
                               "update chat_members set state = 1 where chat_id = $1 and user_id = $2"};

constexpr db::Statement kMessage{"test_message",
                                 "select * from append_messages(array[$5::bigint], array[$1::uuid], "
                                 "array[$2::uuid], array[$3::uuid], array[$3::uuid], "
                                 "array['text'], array[$4::text], array[null::uuid], array[null::text], "
                                 "array['\\x01'::bytea], array[null::int])"};

std::int64_t say(db::Transaction& tx, ChatId chat, UserId sender, const std::string& text) {
    return tx.exec(kMessage, chat, base::MessageId::make(), sender, text, chatlog::lock_key(chat))
        .front()
        .integer(2);
}

TEST_F(CreateTest, a_group_has_an_owner_and_members_and_one_entry) {
    const auto ann = person(), bob = person();
    NewChat chat;
    chat.id = ChatId::make();
    chat.type = Type::group;
    chat.title = "Trip";
    chat.members = {bob, ann, bob};
    const auto made = run([&](db::Transaction& tx) { return create_chat(tx, ann, chat); });
    EXPECT_TRUE(made.created);
    ASSERT_EQ(made.events.list.size(), 1U);
    EXPECT_EQ(made.events.list.front().seq, 1);
    EXPECT_EQ(made.events.list.front().joined.size(), 2U);
    EXPECT_EQ(membership(chat.id, ann).power, kOwnerPower);
    EXPECT_EQ(membership(chat.id, bob).power, kMemberPower);
    EXPECT_EQ(membership(chat.id, bob).from_seq, 1);
    EXPECT_EQ(membership(chat.id, bob).member_count, 2);

    const auto again = run([&](db::Transaction& tx) { return create_chat(tx, ann, chat); });
    EXPECT_FALSE(again.created);
    EXPECT_EQ(again.chat, chat.id);
    chat.title = "Other";
    EXPECT_EQ(refusal([&](db::Transaction& tx) { create_chat(tx, ann, chat); }), "id_reused");
    chat.title = "Trip";
    EXPECT_EQ(refusal([&](db::Transaction& tx) { create_chat(tx, bob, chat); }), "id_reused");
}

TEST_F(CreateTest, a_large_chat_with_other_people_is_no_repeat) {
    const auto ann = person();
    NewChat chat;
    chat.id = ChatId::make();
    chat.type = Type::group;
    for (std::size_t i = 0; i <= kMaxMembersInEvent; ++i)
        chat.members.push_back(person());
    EXPECT_TRUE(run([&](db::Transaction& tx) { return create_chat(tx, ann, chat); }).created);
    EXPECT_FALSE(run([&](db::Transaction& tx) { return create_chat(tx, ann, chat); }).created);
    chat.members.back() = person();
    EXPECT_EQ(refusal([&](db::Transaction& tx) { create_chat(tx, ann, chat); }), "id_reused");
}

TEST_F(CreateTest, nobody_opens_more_chats_than_allowed) {
    const auto ann = person(), bob = person();
    const auto made = run([&](db::Transaction& tx) {
        return tx.exec(kManyChats, ann, static_cast<std::int64_t>(kMaxChatsCreated) - 1, bob)
            .front()
            .id<ChatId>(0);
    });
    NewChat last;
    last.id = ChatId::make();
    last.type = Type::group;
    const auto open = [&](ChatId id) {
        last.id = id;
        return refusal([&](db::Transaction& tx) { create_chat(tx, ann, last); });
    };
    const auto fits = ChatId::make();
    EXPECT_EQ(open(fits), "ok");
    EXPECT_EQ(open(ChatId::make()), "too_many_chats") << "whether she is in them or not";
    EXPECT_EQ(open(fits), "ok") << "a repeat opens nothing";
    last.id = ChatId::make();
    EXPECT_EQ(refusal([&](db::Transaction& tx) { create_chat(tx, bob, last); }), "ok")
        << "those of others do not count";
    run([&](db::Transaction& tx) { tx.exec(kForget, made); });
    EXPECT_EQ(open(ChatId::make()), "ok");
}

TEST_F(CreateTest, nobody_is_put_into_more_chats_than_allowed) {
    const auto ann = person(), bob = person(), eve = person(), tom = person();
    const auto chat = group(ann, {eve});
    const auto one = run([&](db::Transaction& tx) {
        return tx.exec(kManyChats, tom, static_cast<std::int64_t>(kMaxChatsPerUser), bob)
            .front()
            .id<ChatId>(0);
    });
    const auto faults_of = [&](auto fn) {
        std::vector<base::FieldError> faults;
        try {
            run([&](db::Transaction& tx) { fn(tx); });
        } catch (const base::Error& error) {
            EXPECT_EQ(error.status(), 409);
            EXPECT_EQ(error.code(), "member_in_too_many_chats");
            faults = error.fields();
        }
        return faults;
    };
    const auto open = [&](Type type, UserId who, UserId whom) {
        return faults_of([&](db::Transaction& tx) {
            NewChat wanted;
            wanted.id = ChatId::make();
            wanted.type = type;
            wanted.members = {whom};
            create_chat(tx, who, wanted);
        });
    };
    for (const auto type : {Type::direct, Type::group, Type::channel}) {
        for (const auto& faults : {open(type, ann, bob), open(type, bob, ann)}) {
            ASSERT_EQ(faults.size(), 1U);
            EXPECT_EQ(faults.front().field, "member_ids");
            EXPECT_EQ(faults.front().detail, bob.text() + " is in too many chats.");
        }
    }
    const auto add = [&] {
        return faults_of([&](db::Transaction& tx) { add_members(tx, act(ann, chat), {bob, eve, tom}); });
    };
    const auto faults = add();
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults.front().field, "user_ids");
    EXPECT_EQ(faults.front().detail, bob.text() + " is in too many chats.");
    EXPECT_EQ(membership(chat, ann).member_count, 2) << "a refusal adds nobody";
    run([&](db::Transaction& tx) { tx.exec(kLeave, one, bob); });
    EXPECT_TRUE(add().empty());
}

TEST_F(CreateTest, refusals_make_nothing) {
    const auto ann = person();
    EXPECT_EQ(refusal([&](db::Transaction& tx) {
                  NewChat chat;
                  chat.id = ChatId::make();
                  chat.type = Type::direct;
                  create_chat(tx, ann, chat);
              }),
              "invalid");
    EXPECT_EQ(refusal([&](db::Transaction& tx) {
                  NewChat chat;
                  chat.id = ChatId::make();
                  chat.type = Type::group;
                  chat.members = {UserId::make()};
                  create_chat(tx, ann, chat);
              }),
              "invalid");
    EXPECT_TRUE(run([&](db::Transaction& tx) { return list_chats(tx, ann, ListCursor(), 10); }).empty());
}

TEST_F(CreateTest, a_pair_has_one_direct_chat_however_many_ask_at_once) {
    const auto ann = person(), bob = person();
    std::barrier start(6);
    std::mutex mutex;
    std::set<ChatId> chats;
    int created = 0;
    std::vector<std::thread> racers;
    for (int i = 0; i < 6; ++i)
        racers.emplace_back([&, i] {
            db::Connection own(url, kTimeout, "racer");
            NewChat chat;
            chat.id = ChatId::make();
            chat.type = Type::direct;
            chat.members = {i % 2 ? ann : bob};
            start.arrive_and_wait();
            const auto made =
                own.transact([&](db::Transaction& tx) { return create_chat(tx, i % 2 ? bob : ann, chat); });
            const std::lock_guard lock(mutex);
            chats.insert(made.chat);
            created += made.created;
        });
    for (auto& racer : racers)
        racer.join();
    EXPECT_EQ(chats.size(), 1U);
    EXPECT_EQ(created, 1);
    EXPECT_EQ(power(*chats.begin(), ann), kMemberPower) << "the two are equals";
    EXPECT_EQ(refusal([&](db::Transaction& tx) { remove_member(tx, act(ann, *chats.begin()), ann); }),
              "direct_chat");
}

TEST_F(CreateTest, who_joins_later_sees_from_the_join_on_and_who_left_sees_nothing) {
    const auto ann = person(), bob = person(), eve = person();
    const auto chat = group(ann, {bob});
    run([&](db::Transaction& tx) { say(tx, chat, ann, "before"); });
    const auto change = act(ann, chat);
    const auto added = run([&](db::Transaction& tx) { return add_members(tx, change, {eve, bob}); });
    ASSERT_EQ(added.list.size(), 1U);
    EXPECT_EQ(added.list.front().joined, std::vector{eve});
    EXPECT_EQ(membership(chat, eve).from_seq, added.list.front().seq);
    EXPECT_TRUE(run([&](db::Transaction& tx) { return add_members(tx, change, {eve, bob}); }).list.empty());
    auto seen = run([&](db::Transaction& tx) { return read_chat(tx, chat, eve); });
    EXPECT_FALSE(seen.last_message.has_value()) << "it is from before the join";
    EXPECT_EQ(seen.unread, 0);
    EXPECT_EQ(seen.member_count, 3);
    run([&](db::Transaction& tx) { say(tx, chat, ann, "after"); });
    seen = run([&](db::Transaction& tx) { return read_chat(tx, chat, eve); });
    ASSERT_TRUE(seen.last_message.has_value());
    EXPECT_EQ(seen.last_message->text, "after");
    EXPECT_EQ(seen.unread, 1);

    run([&](db::Transaction& tx) { return remove_member(tx, act(ann, chat), eve); });
    EXPECT_EQ(refusal([&](db::Transaction& tx) { read_chat(tx, chat, eve); }), "not_found");
    EXPECT_TRUE(run([&](db::Transaction& tx) { return list_chats(tx, eve, ListCursor(), 10); }).empty());
    run([&](db::Transaction& tx) { say(tx, chat, ann, "without Eve"); });
    const auto back = run([&](db::Transaction& tx) { return add_members(tx, act(ann, chat), {eve}); });
    EXPECT_EQ(membership(chat, eve).from_seq, back.list.front().seq)
        << "what happened meanwhile stays unseen";
    EXPECT_EQ(run([&](db::Transaction& tx) { return read_chat(tx, chat, eve); }).unread, 0);
}

TEST_F(CreateTest, the_list_counts_unread_and_pages_by_activity) {
    const auto ann = person(), bob = person();
    std::vector<ChatId> made;
    for (int i = 0; i < 5; ++i)
        made.push_back(group(ann, {bob}));
    run([&](db::Transaction& tx) {
        say(tx, made[2], ann, "one");
        say(tx, made[2], ann, "two");
        say(tx, made[2], bob, "three");
    });
    std::vector<ChatId> found;
    std::optional<ListCursor> cursor = ListCursor();
    for (;;) {
        const auto page = run([&](db::Transaction& tx) { return list_chats(tx, bob, *cursor, 2); });
        for (const auto& chat : page)
            found.push_back(chat.id);
        if (page.size() < 2) break;
        ListCursor next;
        next.activity_us = page.back().activity_us;
        next.chat = page.back().id;
        cursor = ListCursor::parse(next.text());
        ASSERT_TRUE(cursor.has_value());
    }
    EXPECT_EQ(found.size(), made.size());
    EXPECT_EQ(std::set(found.begin(), found.end()).size(), made.size());
    EXPECT_EQ(found.front(), made[2]);
    const auto top = run([&](db::Transaction& tx) { return list_chats(tx, bob, ListCursor(), 1); }).front();
    EXPECT_EQ(top.unread, 2) << "own messages are read";
    EXPECT_EQ(top.last_message->text, "three");
    EXPECT_EQ(top.last_seq, 4);

    std::ranges::sort(made);
    auto rest = run([&](db::Transaction& tx) { return list_chats(tx, bob, ChatId(), 2); });
    for (const auto& chat : run([&](db::Transaction& tx) { return list_chats(tx, bob, rest.back().id, 9); }))
        rest.push_back(chat);
    EXPECT_TRUE(std::ranges::equal(rest, made, {}, &Chat::id)) << "or by id";
}

TEST_F(CreateTest, the_list_looks_at_the_newest_messages_only) {
    const auto ann = person(), bob = person();
    const auto chat = group(ann, {bob});
    const auto say_often = [&](UserId who, std::int64_t times) {
        run([&](db::Transaction& tx) { tx.exec(kSayOften, chat, who, times); });
    };
    const auto unread = [&](UserId who) {
        return run([&](db::Transaction& tx) { return read_chat(tx, chat, who); }).unread;
    };
    say_often(ann, 10);
    say_often(bob, kLookBack - 4);
    EXPECT_EQ(unread(bob), 4) << "his own push older ones out";
    EXPECT_EQ(unread(ann), kLookBack - 4);
    say_often(bob, 10);
    EXPECT_EQ(unread(bob), 0);
    EXPECT_EQ(unread(ann), kLookBack);
    say_often(ann, 3);
    EXPECT_EQ(unread(bob), 3);

    const auto last = [&] {
        return run([&](db::Transaction& tx) { return read_chat(tx, chat, bob); }).last_message;
    };
    const auto head = last().value().seq;
    run([&](db::Transaction& tx) { tx.exec(kHideFrom, chat, bob, head - kLookBack + 2); });
    EXPECT_EQ(last().value().seq, head - kLookBack + 1);
    run([&](db::Transaction& tx) { tx.exec(kHideFrom, chat, bob, head - kLookBack); });
    EXPECT_FALSE(last().has_value()) << "older ones are not looked for";
}

TEST_F(CreateTest, cursors_of_others_are_refused) {
    for (const auto* text : {"", "_", "5", "x_00000000-0000-0000-0000-000000000000", "5_nonsense", "5_"})
        EXPECT_FALSE(ListCursor::parse(text).has_value()) << text;
}

TEST_F(CreateTest, status_and_deletion) {
    const auto ann = person(), bob = person(), eve = person();
    const auto chat = group(ann, {bob});
    const auto to = [&](UserId who, ChatId which, Status status) {
        return refusal([&](db::Transaction& tx) { change_status(tx, act(who, which), status); });
    };
    EXPECT_EQ(to(bob, chat, Status::closed), "forbidden");
    EXPECT_EQ(to(eve, chat, Status::closed), "not_found");
    EXPECT_EQ(to(ann, chat, Status::closed), "ok");
    EXPECT_EQ(to(ann, chat, Status::archived), "chat_closed");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit_chat(tx, act(ann, chat), "x"); }), "forbidden");
    EXPECT_EQ(to(ann, chat, Status::active), "ok");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit_chat(tx, act(bob, chat), "x"); }), "forbidden");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { edit_chat(tx, act(ann, chat), "x"); }), "ok");

    const auto direct = group(ann, {eve}, Type::direct);
    EXPECT_EQ(to(eve, direct, Status::closed), "ok");
    const auto second = group(eve, {ann}, Type::direct);
    EXPECT_NE(second, direct) << "a closed one makes room";
    EXPECT_EQ(to(ann, direct, Status::active), "direct_chat_open");

    EXPECT_EQ(refusal([&](db::Transaction& tx) { delete_chat(tx, act(bob, chat)); }), "forbidden");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { delete_chat(tx, act(ann, direct)); }), "forbidden");
    const auto events = run([&](db::Transaction& tx) { return delete_chat(tx, act(ann, chat)); });
    EXPECT_EQ(events.list.front().left.size(), 2U);
    EXPECT_EQ(refusal([&](db::Transaction& tx) { require_member(tx, chat, ann); }), "not_found");
}

TEST_F(CreateTest, own_settings_change_alone) {
    const auto ann = person(), bob = person();
    const auto chat = group(ann, {bob});
    OwnSettings mute;
    mute.mute = true;
    run([&](db::Transaction& tx) { store::write_settings(tx, chat, bob, mute); });
    OwnSettings pin;
    pin.pin = true;
    run([&](db::Transaction& tx) { store::write_settings(tx, chat, bob, pin); });
    const auto seen = run([&](db::Transaction& tx) { return read_chat(tx, chat, bob); });
    EXPECT_TRUE(seen.mute && seen.pin && !seen.archive);
    EXPECT_FALSE(run([&](db::Transaction& tx) { return read_chat(tx, chat, ann); }).mute);
}

}  // namespace
}  // namespace supd::chats
