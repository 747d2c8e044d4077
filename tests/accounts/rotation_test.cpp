// Sessions and refresh tokens against a real PostgreSQL.
#include "accounts/rotation.hpp"

#include "accounts/sign_in.hpp"
#include "accounts/store_upkeep.hpp"
#include "accounts/username.hpp"
#include "support/private_postgres.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/accounts/limits.hpp>
#include <supd/db/database.hpp>

#include <gtest/gtest.h>

#include <set>
#include <thread>

using namespace supd;
using namespace supd::accounts;
using namespace std::chrono_literals;

namespace {

class RotationTest : public ::testing::Test {
protected:
    std::string url_ = support::migrated_database();
    db::Connection connection_{url_, 5s, "test"};
    crypto::RefreshTokens tokens_{{base::Secret("a secret of at least thirty-two bytes")}};

    store::NewUser new_user(const std::string& name) {
        const auto username = parse_username(name);
        store::NewUser user;
        user.id = base::UserId::make();
        user.username = username.display;
        user.username_key = username.key;
        user.username_skeleton = username.skeleton;
        user.display_name = name;
        user.password_hash = "hash of " + name;
        return user;
    }
    SignedIn registered(const std::string& name, DeviceRequest device = {}) {
        const auto user = new_user(name);
        const auto seed = seed_session(device, {"127.0.0.1", "test"});
        return connection_.transact([&](db::Transaction& tx) {
            store::insert_user(tx, user);
            return begin_session(tx, store::find_user(tx, user.id).value(), seed);
        });
    }
    SignedIn signed_in(base::UserId user, DeviceRequest device = {}) {
        const auto seed = seed_session(device, {});
        return connection_.transact(
            [&](db::Transaction& tx) { return begin_session(tx, store::find_user(tx, user).value(), seed); });
    }
    Rotation refreshed(const std::string& token) {
        return connection_.transact([&](db::Transaction& tx) { return rotate(tx, tokens_, token); });
    }
    void sql(const std::string& text) {
        connection_.transact([&](db::Transaction& tx) { tx.script(text); });
    }
    std::size_t rows(const char* name, const char* text) {
        const db::Statement statement{name, text};
        return connection_.transact([&](db::Transaction& tx) {
            return static_cast<std::size_t>(tx.exec(statement).front().integer(0));
        });
    }
};

}  // namespace

TEST_F(RotationTest, AChainOfTokensWorksLinkByLink) {
    auto token = registered("ann").refresh_token;
    for (int i = 0; i < 5; ++i) {
        const auto next = refreshed(token);
        ASSERT_TRUE(next.signed_in);
        EXPECT_NE(next.signed_in->refresh_token, token);
        EXPECT_EQ(next.signed_in->user.username, "ann");
        token = next.signed_in->refresh_token;
    }
    EXPECT_EQ(rows("live", "select count(*) from refresh_tokens where used_at is null"), 1u);
}

TEST_F(RotationTest, ARetryGetsTheSameSuccessor) {
    const auto token = registered("ann").refresh_token;
    const auto first = refreshed(token), second = refreshed(token);
    ASSERT_TRUE(first.signed_in && second.signed_in);
    EXPECT_EQ(first.signed_in->refresh_token, second.signed_in->refresh_token);
    EXPECT_TRUE(refreshed(first.signed_in->refresh_token).signed_in);
}

TEST_F(RotationTest, AReplayAfterTheSuccessorWasUsedRevokesTheFamily) {
    const auto token = registered("ann").refresh_token;
    const auto first = refreshed(token);
    const auto second = refreshed(first.signed_in->refresh_token);
    const auto replay = refreshed(token);
    EXPECT_FALSE(replay.signed_in);
    ASSERT_EQ(replay.revoked.size(), 1u);
    EXPECT_EQ(replay.revoked[0], first.signed_in->session);
    EXPECT_FALSE(refreshed(second.signed_in->refresh_token).signed_in);
    EXPECT_TRUE(refreshed(token).revoked.empty()) << "announced once";
}

TEST_F(RotationTest, ALateRetryRevokesTheFamily) {
    const auto token = registered("ann").refresh_token;
    const auto first = refreshed(token);
    sql("update refresh_tokens set used_at = used_at - interval '11 seconds' where used_at is not null");
    EXPECT_EQ(refreshed(token).revoked.size(), 1u);
    EXPECT_FALSE(refreshed(first.signed_in->refresh_token).signed_in);
}

TEST_F(RotationTest, TwentyAtOnceLeaveOneSuccessor) {
    for (int round = 0; round < 5; ++round) {
        const auto token = registered("ann" + std::to_string(round)).refresh_token;
        std::vector<std::string> got(20);
        {
            std::vector<std::jthread> threads;
            for (auto& slot : got)
                threads.emplace_back([&slot, &token, this] {
                    db::Connection own(url_, 5s, "test");
                    const auto rotation =
                        own.transact([&](db::Transaction& tx) { return rotate(tx, tokens_, token); });
                    if (rotation.signed_in) slot = rotation.signed_in->refresh_token;
                });
        }
        const std::set<std::string> distinct(got.begin(), got.end());
        ASSERT_EQ(distinct.size(), 1u);
        EXPECT_TRUE(refreshed(*distinct.begin()).signed_in);
    }
}

TEST_F(RotationTest, EndedSessionsAndUnknownTokensAreRefusedWithoutAnOutcry) {
    const auto ann = registered("ann"), bob = registered("bob"), eve = registered("eve");
    for (const auto& token :
         {std::string(), std::string("x"), crypto::random_token(), std::string(5000, 'x')}) {
        const auto rotation = refreshed(token);
        EXPECT_FALSE(rotation.signed_in);
        EXPECT_TRUE(rotation.revoked.empty());
    }
    connection_.transact([&](db::Transaction& tx) {
        EXPECT_TRUE(store::revoke_session(tx, bob.user.id, ann.session, "revoked").empty()) << "not bob's";
        EXPECT_EQ(store::revoke_session(tx, ann.user.id, ann.session, "logout").size(), 1u);
        store::set_status(tx, eve.user.id, "disabled");
    });
    EXPECT_FALSE(refreshed(ann.refresh_token).signed_in);
    EXPECT_FALSE(refreshed(eve.refresh_token).signed_in);
    sql("update sessions set expires_at = now() - interval '1 second'");
    EXPECT_FALSE(refreshed(bob.refresh_token).signed_in);
}

TEST_F(RotationTest, ASignInOnAKnownDeviceReplacesItsSession) {
    const auto ann = registered("ann", {std::nullopt, "phone", "ios"});
    DeviceRequest same{ann.device.id, "", ""};
    const auto again = signed_in(ann.user.id, same);
    EXPECT_EQ(again.device.id, ann.device.id);
    EXPECT_EQ(again.device.name, "phone");
    EXPECT_EQ(again.replaced, store::Revoked{ann.session});
    EXPECT_FALSE(refreshed(ann.refresh_token).signed_in);

    const auto bob = registered("bob");
    const auto thief = signed_in(bob.user.id, same);
    EXPECT_NE(thief.device.id, ann.device.id) << "the device of another is not taken over";
    EXPECT_TRUE(refreshed(again.refresh_token).signed_in);
}

TEST_F(RotationTest, DevicesAreCapped) {
    const auto ann = registered("ann");
    for (std::size_t i = 1; i < kMaxDevicesPerUser; ++i)
        EXPECT_TRUE(signed_in(ann.user.id).replaced.empty());
    const auto last = signed_in(ann.user.id);
    EXPECT_EQ(last.replaced, store::Revoked{ann.session}) << "the one seen longest ago goes";
    EXPECT_EQ(rows("devices", "select count(*) from user_devices where removed_at is null"),
              kMaxDevicesPerUser);
}

TEST_F(RotationTest, NamesThatLookAlikeCollideInTheDatabase) {
    registered("paypal");
    for (const auto* name : {"PayPal", "paypa1"}) {
        try {
            registered(name);
            FAIL() << name;
        } catch (const db::ConstraintViolation& violation) {
            EXPECT_TRUE(violation.unique());
            EXPECT_TRUE(violation.constraint().starts_with("users_username")) << violation.constraint();
        }
    }
}

TEST_F(RotationTest, ThePollSeesWhatWasRevokedAndWhoAdministers) {
    const auto ann = registered("ann"), bob = registered("bob");
    auto poll = [&](base::Millis since) {
        return connection_.transact(
            [&](db::Transaction& tx) { return store::revoked_lately(tx, since, 900s); });
    };
    const auto before = poll(0);
    EXPECT_TRUE(before.sessions.empty());
    EXPECT_TRUE(before.admins.empty());
    connection_.transact([&](db::Transaction& tx) {
        store::revoke_session(tx, ann.user.id, ann.session, "logout");
        store::set_admin(tx, bob.user.id);
    });
    const auto after = poll(before.now_ms);
    EXPECT_EQ(after.sessions, store::Revoked{ann.session});
    EXPECT_EQ(after.admins, std::vector<base::Uuid>{bob.user.id.bytes});
    EXPECT_TRUE(poll(after.now_ms + 1).sessions.empty());
}

TEST_F(RotationTest, WhatEndedLongAgoIsDeleted) {
    const auto ann = registered("ann"), bob = registered("bob");
    refreshed(ann.refresh_token);
    connection_.transact([&](db::Transaction& tx) {
        store::revoke_session(tx, bob.user.id, bob.session, "logout");
        EXPECT_FALSE(expire_sessions(tx));
    });
    EXPECT_EQ(rows("tokens", "select count(*) from refresh_tokens"), 3u) << "nothing is old yet";
    sql("update refresh_tokens set used_at = used_at - interval '29 days' where used_at is not null");
    connection_.transact([&](db::Transaction& tx) { EXPECT_FALSE(expire_sessions(tx)); });
    EXPECT_EQ(rows("tokens", "select count(*) from refresh_tokens"), 3u)
        << "a replay is known while sessions live";
    sql("update refresh_tokens set used_at = used_at - interval '2 days' where used_at is not null;"
        "update sessions set revoked_at = revoked_at - interval '31 days' where revoked_at is not null");
    connection_.transact([&](db::Transaction& tx) { expire_sessions(tx); });
    EXPECT_EQ(rows("tokens", "select count(*) from refresh_tokens"), 1u);
    EXPECT_EQ(rows("sessions", "select count(*) from sessions"), 1u);
}
