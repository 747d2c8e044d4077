#include "routes.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/accounts/limits.hpp>

namespace supd::accounts {

Module::Module(db::Database& database, async::BlockingPool& cpu, http::RateLimiter& limiter,
               Revocations& revocations, Config config)
    : context_(new Context{database,
                           cpu,
                           limiter,
                           revocations,
                           config,
                           crypto::AccessTokens(config.secrets, config.issuer, kAccessTokenLifetime),
                           crypto::RefreshTokens(config.secrets),
                           crypto::dummy_hash(config.password_profile),
                           {}}) {}

Module::~Module() = default;

void Module::tell_by(ws::Hub& hub) {
    context_->hub = &hub;
}

void Module::add_routes(http::Router& router) {
    const auto& context = *context_;
    for (const auto& row : kRoutes) {
        auto handler = [&context, operation = row.operation](http::Request request) {
            return operation(context, std::move(request));
        };
        http::Route route{row.method, row.path,           row.policy, row.limit,
                          row.name,   std::move(handler), kBodyLimit};
        route.shared = row.shared;
        router.add(std::move(route));
    }
}

http::Caller Module::authenticate(std::string_view bearer_token) const {
    crypto::AccessClaims claims;
    switch (context_->access.verify(bearer_token, context_->clock.now_ms(), claims)) {
        case crypto::TokenFault::none:
            break;
        case crypto::TokenFault::expired:
            throw base::unauthenticated("token_expired", "The access token has expired; refresh it.");
        case crypto::TokenFault::invalid:
            throw base::unauthenticated();
    }
    if (context_->revocations.contains(claims.session)) throw base::unauthenticated();
    return {claims.user, claims.device, claims.session, context_->revocations.is_admin(claims.user)};
}

}  // namespace supd::accounts
