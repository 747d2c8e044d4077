// The constructs around co_await that some compilers get wrong: g++ 12 destroys temporaries and captures of
// the awaited expression twice. docs/style.md forbids them in the product; here they are on purpose, so that
// a compiler that breaks one is found by this test and not by a heap corruption. Each object counts its own
// life: after a case as many were destroyed as were made, and none was destroyed that was not alive.
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <array>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;

// Addresses of the objects that are alive; a second destruction does not find its own.
std::set<const void*> alive;  // NOLINT(cert-err58-cpp)
int broken = 0;
int made = 0;

class Counted {
public:
    explicit Counted(int value = 0) : value_(value) { enter(); }
    Counted(const Counted& other) : value_(other.value_), text_(other.text_) { enter(); }
    Counted(Counted&& other) noexcept : value_(other.value_), text_(std::move(other.text_)) { enter(); }
    Counted& operator=(const Counted&) = default;
    Counted& operator=(Counted&&) noexcept = default;
    ~Counted() {
        if (alive.erase(this) == 0) ++broken;
    }
    [[nodiscard]] int value() const { return value_; }

private:
    void enter() {
        ++made;
        if (!alive.insert(this).second) ++broken;
    }
    int value_;
    std::string text_ =
        std::string(48, 'x');  // longer than any small buffer: a double free shows to ASan as well
};

struct Agg {
    Counted first{};
    std::string second = std::string(48, 'y');
};

struct WithConstructor {
    explicit WithConstructor(int value) : counted(value) {}
    Counted counted;
};

awaitable<void> hop() {
    co_await asio::post(co_await asio::this_coro::executor, use_awaitable);
}

awaitable<int> take(Agg agg) {
    co_await hop();
    co_return agg.first.value();
}
awaitable<int> take_reference(const Agg& agg) {
    co_await hop();
    co_return agg.first.value();
}
awaitable<int> take_array(std::array<Counted, 2> two) {
    co_await hop();
    co_return two[0].value() + two[1].value();
}
awaitable<int> take_vector(std::vector<Counted> all) {
    co_await hop();
    int sum = 0;
    for (const auto& one : all)
        sum += one.value();
    co_return sum;
}
awaitable<int> take_function(std::function<int()> function) {
    co_await hop();
    co_return function();
}
template <typename Function>
awaitable<int> take_template(Function function) {
    co_await hop();
    co_return function();
}
template <typename Function>
awaitable<int> take_forwarded(Function&& function) {
    co_await hop();
    co_return function();
}
awaitable<int> take_class(WithConstructor thing) {
    co_await hop();
    co_return thing.counted.value();
}
awaitable<int> take_pair(std::pair<Counted, Counted> two) {
    co_await hop();
    co_return two.first.value() + two.second.value();
}
awaitable<int> take_optional(std::optional<Counted> one) {
    co_await hop();
    co_return one ? one->value() : -1;
}
awaitable<Counted> give(int value) {
    co_await hop();
    co_return Counted(value);
}
awaitable<int> number(int value) {
    co_await hop();
    co_return value;
}
awaitable<Agg> give_aggregate(int value) {
    co_await hop();
    co_return Agg{.first = Counted(value)};
}
int plain(const Agg& agg) {
    return agg.first.value();
}

class CoroutineCases : public testing::Test {
protected:
    void SetUp() override {
        alive.clear();
        broken = made = 0;
    }
    void TearDown() override {
        EXPECT_EQ(broken, 0) << "destroyed twice, or made over a living object";
        EXPECT_TRUE(alive.empty()) << alive.size() << " never destroyed";
        EXPECT_GT(made, 0) << "the case made nothing that counts";
    }
    // Runs one coroutine to its end and answers what it returned.
    template <typename Body>
    int result_of(Body body) {
        asio::io_context context(1);
        int result = -1;
        std::exception_ptr error;
        asio::co_spawn(context, std::move(body), [&](std::exception_ptr e, int value) {
            error = e;
            result = value;
        });
        context.run();
        if (error) std::rethrow_exception(error);
        return result;
    }
};

// NOLINTBEGIN(cppcoreguidelines-avoid-capturing-lambda-coroutines): the subject of this file.

TEST_F(CoroutineCases, AggregateAsArgument) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return co_await take(Agg{Counted(7)}); }), 7);
}
TEST_F(CoroutineCases, BracedListAsAggregateArgument) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return co_await take({Counted(8), "z"}); }), 8);
}
TEST_F(CoroutineCases, AggregateByConstReference) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return co_await take_reference(Agg{Counted(9)}); }), 9);
}
TEST_F(CoroutineCases, DesignatedInitialiser) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return co_await take(Agg{.first = Counted(10)}); }), 10);
}
TEST_F(CoroutineCases, AggregateMadeOfAnAwaitedValue) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  auto agg = Agg{co_await give(11)};
                  co_return agg.first.value();
              }),
              11);
}
TEST_F(CoroutineCases, AggregateBesideAnAwait) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return plain(Agg{Counted(5)}) + co_await number(1); }),
              6);
}
TEST_F(CoroutineCases, ArrayAsArgument) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted a(1);
                  const Counted b(2);
                  co_return co_await take_array(std::array<Counted, 2>{a, b});
              }),
              3);
}
TEST_F(CoroutineCases, CaptureByValueIntoTemplate) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(12);
                  co_return co_await take_template([t] { return t.value(); });
              }),
              12);
}
TEST_F(CoroutineCases, CaptureByValueIntoForwardingReference) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(13);
                  co_return co_await take_forwarded([t] { return t.value(); });
              }),
              13);
}
TEST_F(CoroutineCases, CaptureByValueIntoFunction) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(14);
                  co_return co_await take_function([t] { return t.value(); });
              }),
              14);
}
TEST_F(CoroutineCases, CapturingLambdaCoroutineInvokedAtOnce) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(15);
                  co_return co_await [t]() -> awaitable<int> {
                      co_await hop();
                      co_return t.value();
                  }();
              }),
              15);
}
TEST_F(CoroutineCases, HandMadeInitiationWithCapture) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(16);
                  auto executor = co_await asio::this_coro::executor;
                  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(int)>(
                      [t, executor](auto handler) {
                          asio::post(executor, [t, handler = std::move(handler)]() mutable {
                              std::move(handler)(t.value());
                          });
                      },
                      use_awaitable);
              }),
              16);
}
TEST_F(CoroutineCases, InitializerListIntoVector) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted a(3);
                  const Counted b(4);
                  co_return co_await take_vector({a, b});
              }),
              7);
}

// Sound on every compiler tried: what docs/style.md tells to write instead must stay sound.
TEST_F(CoroutineCases, ClassWithConstructor) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return co_await take_class(WithConstructor{17}); }), 17);
}
TEST_F(CoroutineCases, PairAndOptional) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const int sum = co_await take_pair(std::pair{Counted(1), Counted(2)});
                  co_return sum + co_await take_optional(std::optional{Counted(3)});
              }),
              6);
}
TEST_F(CoroutineCases, ConditionalAndNestedAwaits) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const bool yes = co_await number(1) == 1;
                  co_return co_await take_class(WithConstructor{co_await number(yes ? 18 : 0)}) +
                      (yes ? (co_await give(1)).value() : (co_await give(2)).value());
              }),
              19);
}
TEST_F(CoroutineCases, CaptureByReference) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(20);
                  co_return co_await take_template([&] { return t.value(); });
              }),
              20);
}
TEST_F(CoroutineCases, UncalledLambdaGivenToCoSpawn) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  const Counted t(21);
                  co_return co_await asio::co_spawn(
                      co_await asio::this_coro::executor,
                      [t]() -> awaitable<int> {
                          co_await hop();
                          co_return t.value();
                      },
                      use_awaitable);
              }),
              21);
}
TEST_F(CoroutineCases, ReturnedAggregate) {
    EXPECT_EQ(result_of([]() -> awaitable<int> { co_return (co_await give_aggregate(22)).first.value(); }),
              22);
}
TEST_F(CoroutineCases, NamedThenMoved) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  Agg agg{Counted(23)};
                  auto work = [t = Counted(1)] { return t.value(); };
                  auto pending = take(std::move(agg));
                  co_return co_await std::move(pending) + co_await take_template(std::move(work));
              }),
              24);
}
TEST_F(CoroutineCases, BothOfTwo) {
    EXPECT_EQ(result_of([]() -> awaitable<int> {
                  using namespace asio::experimental::awaitable_operators;
                  auto [a, b] = co_await (take_class(WithConstructor{1}) && take_class(WithConstructor{2}));
                  co_return a + b;
              }),
              3);
}
TEST_F(CoroutineCases, ExceptionLeavesNothingBehind) {
    EXPECT_THROW(result_of([]() -> awaitable<int> {
                     const Counted t(25);
                     co_return co_await take_function([t]() -> int { throw t.value(); });
                 }),
                 int);
}

// NOLINTEND(cppcoreguidelines-avoid-capturing-lambda-coroutines)

}  // namespace
