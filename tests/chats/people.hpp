// People and chats for tests against a database of their own.
#pragma once

#include <supd/base/error.hpp>
#include <supd/db/database.hpp>

#include <chats/rules.hpp>
#include <gtest/gtest.h>
#include <support/private_postgres.hpp>

#include <string>
#include <thread>
#include <vector>

namespace supd::chats {

inline constexpr std::chrono::milliseconds kTimeout{10'000};
inline constexpr db::Statement kAddPerson{"test_add_person",
                                          "insert into users (id, username, username_key, username_skeleton, "
                                          "display_name) values ($1, $2, $2, $2, $2)"};

class ChatsTest : public testing::Test {
protected:
    ChatsTest() : url(support::migrated_database()), connection(url, kTimeout, "test") {}

    UserId person() {
        const auto id = UserId::make();
        connection.transact([&](db::Transaction& tx) { tx.exec(kAddPerson, id, "u" + id.text()); });
        return id;
    }
    template <class F>
    auto run(F fn) {
        return connection.transact(fn);
    }
    /// The code of the refusal, or "ok".
    template <class F>
    std::string refusal(F fn) {
        return refusal_on(connection, fn);
    }
    template <class F>
    static std::string refusal_on(db::Connection& on, F fn) {
        try {
            on.transact([&](db::Transaction& tx) { fn(tx); });
            return "ok";
        } catch (const base::Error& error) {
            return error.code();
        }
    }
    ChatId group(UserId owner, std::vector<UserId> others, Type type = Type::group) {
        NewChat chat;
        chat.id = ChatId::make();
        chat.type = type;
        if (type != Type::direct) chat.title = "Trip";
        chat.members = std::move(others);
        return run([&](db::Transaction& tx) { return create_chat(tx, owner, chat).chat; });
    }
    static Act act(UserId actor, ChatId chat) {
        Act out;
        out.actor = actor;
        out.chat = chat;
        out.change = ChangeId::make();
        return out;
    }
    int power(ChatId chat, UserId user) {
        return run([&](db::Transaction& tx) { return require_member(tx, chat, user).power; });
    }
    void set_role(UserId owner, ChatId chat, UserId target, int wanted) {
        run([&](db::Transaction& tx) { change_role(tx, act(owner, chat), target, wanted); });
    }
    Membership membership(ChatId chat, UserId user) {
        return run([&](db::Transaction& tx) { return require_member(tx, chat, user); });
    }

    std::string url;
    db::Connection connection;
};

}  // namespace supd::chats
