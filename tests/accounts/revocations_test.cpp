#include <supd/accounts/revocations.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

using namespace supd;
using namespace std::chrono_literals;

TEST(FilteredIds, HoldsWhatWasAddedUntilItsTime) {
    accounts::FilteredIds ids;
    const auto now = base::Monotonic::now();
    const auto soon = base::make_uuid_v7(), late = base::make_uuid_v7(), never = base::make_uuid_v7();
    EXPECT_TRUE(ids.add(soon, now + 1s));
    EXPECT_FALSE(ids.add(soon, now + 1s));
    EXPECT_TRUE(ids.add(late, now + 1h));
    EXPECT_TRUE(ids.contains(soon));
    EXPECT_TRUE(ids.contains(late));
    EXPECT_FALSE(ids.contains(never));
    ids.drop_older(now + 2s);
    EXPECT_FALSE(ids.contains(soon));
    EXPECT_TRUE(ids.contains(late));
    EXPECT_TRUE(ids.replace({never}));
    EXPECT_FALSE(ids.replace({never}));
    EXPECT_TRUE(ids.contains(never));
    EXPECT_FALSE(ids.contains(late));
}

TEST(FilteredIds, ReadersNeverMissAnIdWhileOthersComeAndGo) {
    accounts::FilteredIds ids;
    const auto now = base::Monotonic::now();
    const auto kept = base::make_uuid_v7();
    ids.add(kept, now + 1h);
    std::atomic<bool> stop = false;
    std::atomic<int> missed = 0;
    {
        std::jthread reader([&] {
            while (!stop)
                if (!ids.contains(kept)) ++missed;
        });
        for (int round = 0; round < 200; ++round) {
            for (int i = 0; i < 50; ++i)
                ids.add(base::make_uuid_v7(), now);
            ids.drop_older(now + 1s);
        }
        stop = true;
    }
    EXPECT_EQ(missed, 0);
    EXPECT_EQ(ids.size(), 1u);
}

TEST(Revocations, TellEachListenerOncePerSession) {
    accounts::Revocations revocations;
    int first = 0, second = 0;
    revocations.on_revoked([&](base::SessionId) { ++first; });
    revocations.on_revoked([&](base::SessionId) { ++second; });
    const auto session = base::SessionId::make(), other = base::SessionId::make();
    revocations.revoked({session});
    revocations.revoked({session, other});
    EXPECT_EQ(first, 2);
    EXPECT_EQ(second, 2);
    EXPECT_TRUE(revocations.contains(session));
    EXPECT_FALSE(revocations.contains(base::SessionId::make()));
    EXPECT_FALSE(revocations.is_admin(base::UserId::make()));
}
