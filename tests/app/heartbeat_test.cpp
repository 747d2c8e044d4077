#include "app/heartbeat.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <future>

namespace supd::app {
namespace {

TEST(Heartbeat, BeatsOnlyWhenEveryThreadHasTurned) {
    async::IoThreads io(2);
    Heartbeat heart(io);
    EXPECT_TRUE(heart.beat());
    EXPECT_FALSE(heart.beat()) << "nothing turns yet";
    io.start();
    const auto turn = [&](std::size_t index) {
        std::promise<void> through;
        boost::asio::post(io.context(index), [&] { through.set_value(); });
        through.get_future().wait();
    };
    turn(0);
    turn(1);
    EXPECT_TRUE(heart.beat());
    turn(0);
    turn(1);
    std::promise<void> let_go;
    boost::asio::post(io.context(1), [waits = let_go.get_future().share()] { waits.wait(); });
    EXPECT_TRUE(heart.beat()) << "the round before is through";
    turn(0);
    EXPECT_FALSE(heart.beat()) << "thread 1 is stuck";
    let_go.set_value();
    turn(0);
    turn(1);
    EXPECT_TRUE(heart.beat());
    io.join();
}

}  // namespace
}  // namespace supd::app
