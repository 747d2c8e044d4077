#include <supd/trace/carrier.hpp>

#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace supd::trace {
namespace {

// An executor that does what the inner one does, with a context beside it. One pointer, so that
// any_io_executor keeps it in place: what it allocates it counts with a fence that ThreadSanitizer cannot
// see.
class Carrier {
public:
    Carrier(asio::any_io_executor inner, const Context& context)
        : state_(std::make_shared<const State>(State{std::move(inner), context})) {}

    const Context& context() const noexcept { return state_->context; }

    template <class Property>
        requires asio::can_query<const asio::any_io_executor&, Property>::value
    decltype(auto) query(const Property& property) const {
        return asio::query(state_->inner, property);
    }
    template <class Property>
        requires asio::can_require<const asio::any_io_executor&, Property>::value
    Carrier require(const Property& property) const {
        return {asio::require(state_->inner, property), context()};
    }
    template <class Property>
        requires asio::can_prefer<const asio::any_io_executor&, Property>::value
    Carrier prefer(const Property& property) const {
        return {asio::prefer(state_->inner, property), context()};
    }
    template <class Function>
    void execute(Function&& function) const {
        state_->inner.execute(std::forward<Function>(function));
    }
    friend bool operator==(const Carrier& a, const Carrier& b) noexcept {
        return a.state_->inner == b.state_->inner && a.context().span == b.context().span;
    }

private:
    struct State {
        asio::any_io_executor inner;
        Context context;
    };
    std::shared_ptr<const State> state_;
};
static_assert(sizeof(Carrier) == sizeof(std::shared_ptr<void>));

}  // namespace

asio::any_io_executor carry(asio::any_io_executor executor, const Context& context) {
    if (!context.recorded()) return executor;
    return Carrier(std::move(executor), context);
}

Context carried(const asio::any_io_executor& executor) noexcept {
    const auto* carrier = executor.target<Carrier>();
    return carrier ? carrier->context() : Context{};
}

}  // namespace supd::trace
