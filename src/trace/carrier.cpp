#include <supd/trace/carrier.hpp>

#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <type_traits>
#include <utility>

namespace supd::trace {
namespace {

// An executor that does what the inner one does, with a context beside it.
class Carrier {
public:
    Carrier(asio::any_io_executor inner, const Context& context)
        : inner_(std::move(inner)), context_(context) {}

    const Context& context() const noexcept { return context_; }

    template <class Property>
        requires asio::can_query<const asio::any_io_executor&, Property>::value
    decltype(auto) query(const Property& property) const {
        return asio::query(inner_, property);
    }
    template <class Property>
        requires asio::can_require<const asio::any_io_executor&, Property>::value
    Carrier require(const Property& property) const {
        return {asio::require(inner_, property), context_};
    }
    template <class Property>
        requires asio::can_prefer<const asio::any_io_executor&, Property>::value
    Carrier prefer(const Property& property) const {
        return {asio::prefer(inner_, property), context_};
    }
    template <class Function>
    void execute(Function&& function) const {
        inner_.execute(std::forward<Function>(function));
    }
    friend bool operator==(const Carrier& a, const Carrier& b) noexcept {
        return a.inner_ == b.inner_ && a.context_.span == b.context_.span;
    }

private:
    asio::any_io_executor inner_;
    Context context_;
};

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
