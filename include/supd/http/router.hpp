// The route table. A feature's routes.hpp lists its rows; a row without a policy does not compile. The router
// checks policy, rate limit and body cap of the row before the handler runs, and turns what it throws into a
// problem.
#pragma once

#include <supd/http/message.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace supd::http {

/// Who may call: open = anybody, user = a valid access token, admin = a token of an administrator.
enum class Policy { open, user, admin };
/// Rate limit class of a row; the numbers stand in limits.hpp. auth fails closed, the others fail open.
enum class Limit { none, api, auth, message, people };

std::string_view name_of(Policy policy) noexcept;
std::string_view name_of(Limit limit) noexcept;

using Handler = std::function<asio::awaitable<Reply>(Request)>;

inline constexpr std::size_t kDefaultBodyLimit = 256 * 1024;

struct Route {
    std::string_view method;  ///< GET POST PATCH DELETE PUT
    std::string_view path;    ///< "/api/v1/users/:id"
    Policy policy;
    Limit limit;
    std::string_view operation;  ///< operationId of docs/openapi.yaml, also the metrics label
    Handler handler;
    std::size_t body_limit = kDefaultBodyLimit;
    /// What it answers with when all is well: an Accept header that excludes it is 406. Empty = not checked.
    std::string_view produces = "application/json";
    /// Of an open route that people ask who are signed in: counted in their address's shared bucket, not in
    /// the small one of strangers.
    bool shared = false;
};

/// Proves who a bearer token belongs to. Implemented by accounts. Any io thread; must not block.
class Authenticator {
public:
    virtual ~Authenticator() = default;
    /// Throws Error 401 `unauthenticated` or `token_expired`.
    virtual Caller authenticate(std::string_view bearer_token) const = 0;
};

class Router {
public:
    Router();
    ~Router();
    /// Throws std::logic_error when the row clashes with another. Before serving only.
    void add(Route route);
    const std::vector<Route>& routes() const noexcept;

    struct Match {
        const Route* route = nullptr;  ///< null: no such path, or method not allowed
        std::vector<std::pair<std::string, std::string>> path_values;
        std::vector<std::string_view> allowed;  ///< methods of the path when only the method is wrong
    };
    Match match(std::string_view method, std::string_view path) const;

private:
    struct Tree;
    std::unique_ptr<Tree> tree_;
};

}  // namespace supd::http
