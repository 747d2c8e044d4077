#include "trace/collector.hpp"

#include <supd/async/blocking_pool.hpp>
#include <supd/async/run_on.hpp>
#include <supd/async/task_group.hpp>
#include <supd/trace/carrier.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace supd::trace {
namespace {

using namespace std::chrono_literals;

asio::awaitable<SpanId> inner(asio::steady_timer& timer) {
    co_await timer.async_wait(asio::use_awaitable);
    co_return carried(co_await asio::this_coro::executor).span;
}

class Carried : public testing::Test {
protected:
    ScriptedCollector collector;
    Tracer tracer{collector.options()};
    Span span = tracer.begin(Kind::server, "x");
    asio::io_context context;
};

TEST_F(Carried, NothingIsWrappedWithoutASpan) {
    const asio::any_io_executor plain = context.get_executor();
    EXPECT_EQ(carry(plain, Context{}), plain);
    EXPECT_FALSE(carried(plain).recorded());
    EXPECT_EQ(carried(carry(plain, span.context())).span, span.context().span);
    EXPECT_NE(carry(plain, span.context()), plain);
}

TEST_F(Carried, SurvivesWaitsHopsAndCalls) {
    async::BlockingPool pool("test", {1, 8, 5000ms});
    async::TaskGroup group("test");
    SpanId after_timer{}, after_hop{};
    auto work = [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
        after_timer = co_await inner(timer);
        auto nothing = [](std::size_t) {};
        co_await pool.run(nothing);
        after_hop = carried(co_await asio::this_coro::executor).span;
    };
    group.spawn(carry(context.get_executor(), span.context()), work());
    context.run();
    EXPECT_EQ(after_timer, span.context().span);
    EXPECT_EQ(after_hop, span.context().span);
}

TEST_F(Carried, OnlyThePartThatRunsOnIt) {
    async::TaskGroup group("test");
    SpanId within{}, behind = span.context().span;
    auto work = [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(context, 1ms);
        auto part = inner(timer);
        auto executor = carry(co_await asio::this_coro::executor, span.context());
        within = co_await async::run_on(std::move(executor), std::move(part));
        behind = carried(co_await asio::this_coro::executor).span;
    };
    group.spawn(context.get_executor(), work());
    context.run();
    EXPECT_EQ(within, span.context().span);
    EXPECT_EQ(behind, SpanId{});
}

TEST_F(Carried, TheGroupsCancelReachesThePart) {
    async::TaskGroup group("test");
    asio::steady_timer timer(context, 1h);
    bool ended = false;
    auto work = [&]() -> asio::awaitable<void> {
        auto part = inner(timer);
        auto executor = carry(co_await asio::this_coro::executor, span.context());
        try {
            co_await async::run_on(std::move(executor), std::move(part));
        } catch (const boost::system::system_error& error) {
            ended = error.code() == asio::error::operation_aborted;
        }
    };
    group.spawn(context.get_executor(), work());
    asio::post(context, [&] { group.cancel(); });
    context.run();
    EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace supd::trace
