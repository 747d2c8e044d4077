// What the operations of accounts work with: made once by Module, read by all io threads.
#pragma once

#include <supd/accounts/accounts.hpp>
#include <supd/async/blocking_pool.hpp>
#include <supd/base/clock.hpp>
#include <supd/crypto/access_token.hpp>
#include <supd/crypto/refresh_token.hpp>
#include <supd/db/database.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/ws/hub.hpp>

namespace supd::accounts {

struct Context {
    db::Database& db;
    async::BlockingPool& cpu;
    http::RateLimiter& limiter;
    Revocations& revocations;
    const Config config;
    const crypto::AccessTokens access;
    const crypto::RefreshTokens refresh;
    const std::string dummy_hash;  // verified in place of what an unknown user does not have
    const base::SystemClock clock;
    ws::Hub* hub = nullptr;  // set before serving; null: the sweep tells
};

}  // namespace supd::accounts
