// Three people and two chats in a PostgreSQL of the test's own, and a connection as the writer has one.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chatlog/appender.hpp>
#include <chatlog/store.hpp>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <support/private_postgres.hpp>

#include <memory>
#include <vector>

namespace supd::chatlog {

class AppendRig : public testing::Test {
protected:
    AppendRig()
        : url_(support::migrated_database()),
          link_(PQconnectdb(url_.c_str()), PQfinish),
          connection_(context_, url_, std::chrono::seconds(5), "test") {
        for (const auto& user : {anna_, ben_, eve_}) {
            const auto name = user.text();
            sql("insert into users (id, username, username_key, username_skeleton, display_name) values ('" +
                name + "', '" + name + "', '" + name + "', '" + name + "', 'x')");
        }
        for (const auto& chat : {first_, second_}) {
            sql("insert into chats (id, type, title, created_by) values ('" + chat.text() +
                "', 'group', 't', '" + anna_.text() + "')");
            sql("insert into chat_heads (chat_id, last_seq) values ('" + chat.text() + "', 10)");
            for (const auto& user : {anna_, ben_})
                sql("insert into chat_members (chat_id, user_id, from_seq) values ('" + chat.text() + "', '" +
                    user.text() + "', 1)");
        }
        EXPECT_TRUE(run(connection_.open()));
    }

    std::string sql(const std::string& text) {
        const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(link_.get(), text.c_str()),
                                                                    PQclear);
        const auto status = PQresultStatus(result.get());
        EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            << PQresultErrorMessage(result.get());
        return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
    }

    template <class T>
    T run(boost::asio::awaitable<T> work) {
        auto result = boost::asio::co_spawn(context_, std::move(work), boost::asio::use_future);
        context_.restart();
        context_.run();
        return result.get();
    }

    Draft draft(ChatId chat, UserId sender) {
        Draft out;
        out.id = MessageId::make();
        out.chat = chat;
        out.sender = sender;
        out.sender_device = DeviceId::make();
        out.type = "text";
        out.text = "hello";
        out.digest.fill(7);
        return out;
    }

    // With all that a plain message may carry.
    Draft rich_draft() {
        auto rich = draft(first_, anna_);
        rich.extra = R"({"metadata":{"a":1}})";
        rich.expires_in_s = 60;
        rich.text = "quote \" backslash \\ brace } comma , ü";
        return rich;
    }
    // The one message that is there is that draft.
    void expect_rich(const Draft& rich) {
        EXPECT_EQ(sql("select text from messages"), *rich.text);
        EXPECT_EQ(sql("select extra->'metadata'->>'a' from messages"), "1");
        EXPECT_EQ(sql("select extract(epoch from expires_at - created_at)::int from messages"), "60");
    }

    static std::vector<const Draft*> pointers_to(const std::vector<Draft>& drafts) {
        std::vector<const Draft*> out;
        for (const auto& each : drafts)
            out.push_back(&each);
        return out;
    }

    std::int64_t stored() { return std::stoll(sql("select count(*) from messages")); }
    std::int64_t head(ChatId chat) {
        return std::stoll(sql("select last_seq from chat_heads where chat_id = '" + chat.text() + "'"));
    }

    const UserId anna_ = UserId::make(), ben_ = UserId::make(), eve_ = UserId::make();
    const ChatId first_ = ChatId::make(), second_ = ChatId::make();
    boost::asio::io_context context_;
    std::string url_;
    std::unique_ptr<PGconn, void (*)(PGconn*)> link_;
    db::AsyncConnection connection_;
};

}  // namespace supd::chatlog
