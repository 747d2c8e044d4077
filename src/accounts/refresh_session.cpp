// Exchanges a refresh token for its successor and a new access token. Tokens of a session form a chain in
// which only the newest works. A retry with the token that was just exchanged gets the same successor; a
// token whose successor was used, or that was exchanged longer ago, is in two hands: the session is revoked
// (RFC 9700 section 4.14).
#include "rotation.hpp"
#include "routes.hpp"
#include "wire.hpp"

#include <supd/accounts/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::accounts {
namespace {

std::string parse(const base::Json& body) {
    base::ObjectReader reader(body);
    auto token = reader.text("refresh_token", {1, kMaxRefreshTokenBytes});
    reader.finish();
    return token;
}

}  // namespace

asio::awaitable<http::Reply> refresh_session(const Context& context, http::Request request) {
    const auto token = parse(request.json());
    auto exchange = [&](db::Transaction& tx) { return rotate(tx, context.refresh, token); };
    const auto rotation = co_await context.db.transact(exchange);
    context.revocations.revoked(rotation.revoked);
    if (!rotation.signed_in)
        throw base::unauthenticated("unauthenticated", "The refresh token is not valid; sign in.");
    co_return tokens_reply(context, *rotation.signed_in, 200);
}

}  // namespace supd::accounts
