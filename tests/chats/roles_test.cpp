#include "people.hpp"

#include <algorithm>
#include <array>
#include <barrier>

namespace supd::chats {
namespace {

constexpr db::Statement kOwners{
    "test_owners", "select count(*) from chat_members where chat_id = $1 and role = 100 and state = 0"};
constexpr db::Statement kSeqs{
    "test_seqs",
    "select h.last_seq, (select count(*) from chat_changes c where c.chat_id = h.chat_id) from chat_heads h "
    "where h.chat_id = $1"};

class RolesTest : public ChatsTest {
protected:
    std::int64_t owners(ChatId chat) {
        return run([&](db::Transaction& tx) { return tx.exec(kOwners, chat).front().integer(0); });
    }
    void expect_dense(ChatId chat) {
        run([&](db::Transaction& tx) {
            const auto rows = tx.exec(kSeqs, chat);
            EXPECT_EQ(rows.front().integer(0), rows.front().integer(1));
        });
    }
};

struct Case {
    int actor, target, wanted;
    const char* expected;
};

TEST_F(RolesTest, who_may_give_which_role) {
    // powers: actor, target, new role
    constexpr std::array cases{
        Case{kOwnerPower, kMemberPower, kAdminPower, "ok"},
        Case{kOwnerPower, kAdminPower, kMemberPower, "ok"},
        Case{kAdminPower, kMemberPower, kAdminPower, "forbidden"},
        Case{kAdminPower, kAdminPower, kMemberPower, "forbidden"},
        Case{kAdminPower, kOwnerPower, kMemberPower, "forbidden"},
        Case{kMemberPower, kMemberPower, kAdminPower, "forbidden"},
        Case{kMemberPower, kOwnerPower, kMemberPower, "forbidden"},
        Case{kMemberPower, kAdminPower, kMemberPower, "forbidden"},
    };
    for (const auto& one : cases) {
        const auto ann = person(), actor = person(), target = person();
        const auto chat = group(ann, {actor, target});
        const auto who = [&](int power, UserId plain) { return power == kOwnerPower ? ann : plain; };
        const auto a = who(one.actor, actor), t = who(one.target, target);
        if (one.actor == kAdminPower) set_role(ann, chat, a, kAdminPower);
        if (one.target == kAdminPower) set_role(ann, chat, t, kAdminPower);
        EXPECT_EQ(refusal([&](db::Transaction& tx) { change_role(tx, act(a, chat), t, one.wanted); }),
                  one.expected)
            << one.actor << " " << one.target << " " << one.wanted;
        EXPECT_EQ(owners(chat), 1);
        expect_dense(chat);
    }
}

TEST_F(RolesTest, who_may_remove_whom) {
    constexpr std::array powers{kMemberPower, kAdminPower, kOwnerPower};
    for (const int actor_power : powers) {
        for (const int target_power : powers) {
            if (actor_power == kOwnerPower && target_power == kOwnerPower) continue;
            const auto ann = person(), actor = person(), target = person();
            const auto chat = group(ann, {actor, target});
            const auto a = actor_power == kOwnerPower ? ann : actor;
            const auto t = target_power == kOwnerPower ? ann : target;
            if (actor_power == kAdminPower) set_role(ann, chat, a, kAdminPower);
            if (target_power == kAdminPower) set_role(ann, chat, t, kAdminPower);
            const bool allowed = actor_power >= kAdminPower && actor_power > target_power;
            EXPECT_EQ(refusal([&](db::Transaction& tx) { remove_member(tx, act(a, chat), t); }),
                      allowed ? "ok" : "forbidden")
                << actor_power << " removes " << target_power;
            EXPECT_EQ(refusal([&](db::Transaction& tx) { require_member(tx, chat, t); }),
                      allowed ? "not_found" : "ok");
        }
    }
}

TEST_F(RolesTest, the_owner_cannot_step_down_but_can_hand_over) {
    const auto ann = person(), bob = person(), stranger = person();
    const auto chat = group(ann, {bob});
    EXPECT_EQ(refusal([&](db::Transaction& tx) { change_role(tx, act(ann, chat), ann, kMemberPower); }),
              "last_owner");
    run([&](db::Transaction& tx) { return transfer(tx, act(ann, chat), bob); });
    EXPECT_EQ(power(chat, bob), kOwnerPower);
    EXPECT_EQ(power(chat, ann), kAdminPower);
    EXPECT_EQ(refusal([&](db::Transaction& tx) { transfer(tx, act(ann, chat), ann); }), "forbidden");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { transfer(tx, act(bob, chat), stranger); }), "invalid");
    expect_dense(chat);
}

TEST_F(RolesTest, an_owner_who_leaves_is_followed_by_the_highest_role) {
    const auto ann = person(), bob = person(), eve = person();
    const auto chat = group(ann, {bob, eve});
    set_role(ann, chat, eve, kAdminPower);
    const auto events = run([&](db::Transaction& tx) { return remove_member(tx, act(ann, chat), ann); });
    EXPECT_EQ(events.list.size(), 2U);
    EXPECT_EQ(events.list.back().left, std::vector{ann});
    EXPECT_EQ(power(chat, eve), kOwnerPower);
    EXPECT_EQ(membership(chat, bob).member_count, 2);
    expect_dense(chat);
}

TEST_F(RolesTest, the_last_one_out_deletes_the_chat) {
    const auto ann = person();
    const auto chat = group(ann, {});
    const auto again = act(ann, chat);
    run([&](db::Transaction& tx) { return remove_member(tx, again, ann); });
    EXPECT_EQ(refusal([&](db::Transaction& tx) { require_member(tx, chat, ann); }), "not_found");
    EXPECT_EQ(refusal([&](db::Transaction& tx) { remove_member(tx, again, ann); }), "ok")
        << "a retry of the same change";
    EXPECT_EQ(refusal([&](db::Transaction& tx) { remove_member(tx, act(ann, chat), ann); }), "not_found");
}

TEST_F(RolesTest, rights_that_change_at_once_leave_one_owner) {
    // Each round: both try to take the chat from the other, to hand it over and to leave, from connections of
    // their own.
    for (int round = 0; round < 12; ++round) {
        const auto ann = person(), bob = person(), eve = person();
        const auto chat = group(ann, {bob, eve});
        set_role(ann, chat, bob, kAdminPower);
        std::barrier start(4);
        const auto race = [&](auto fn) {
            return std::thread([&, fn] {
                db::Connection own(url, kTimeout, "racer");
                start.arrive_and_wait();
                refusal_on(own, fn);
            });
        };
        std::vector<std::thread> racers;
        racers.push_back(race([&](db::Transaction& tx) { transfer(tx, act(ann, chat), bob); }));
        racers.push_back(race([&](db::Transaction& tx) { transfer(tx, act(ann, chat), eve); }));
        racers.push_back(race([&](db::Transaction& tx) { remove_member(tx, act(bob, chat), bob); }));
        racers.push_back(
            race([&](db::Transaction& tx) { remove_member(tx, act(ann, chat), round % 2 ? bob : ann); }));
        for (auto& racer : racers)
            racer.join();
        EXPECT_EQ(owners(chat), 1) << "round " << round;
        expect_dense(chat);
    }
}

}  // namespace
}  // namespace supd::chats
