#include "support/private_postgres.hpp"

#include <supd/accounts/user_commands.hpp>

#include <gtest/gtest.h>

#include <sstream>

using namespace supd;
using namespace supd::accounts;
using namespace std::chrono_literals;

TEST(UserCommands, CreateListDisableResetPromote) {
    db::Connection connection(support::migrated_database(), 5s, "test");
    const auto profile = crypto::PasswordProfile::minimal;
    std::ostringstream out, err;
    std::istringstream password("correct horse\n");
    EXPECT_EQ(create_user(connection, "Ann", false, {&password, profile}, out, err), 0) << err.str();
    EXPECT_EQ(out.str().find("horse"), std::string::npos);
    EXPECT_EQ(create_user(connection, "boss", true, {nullptr, profile}, out, err), 0);
    EXPECT_NE(out.str().find("password: "), std::string::npos);

    EXPECT_EQ(create_user(connection, "ANN", false, {nullptr, profile}, out, err), 73);
    EXPECT_EQ(create_user(connection, "x", false, {nullptr, profile}, out, err), 65);
    std::istringstream weak("short\n");
    EXPECT_EQ(create_user(connection, "carl", false, {&weak, profile}, out, err), 65);
    EXPECT_EQ(disable_user(connection, "nobody", out, err), 67);

    EXPECT_EQ(disable_user(connection, "ann", out, err), 0);
    EXPECT_EQ(make_admin(connection, "ANN", out, err), 0);
    std::istringstream fresh("battery staple\r\n");
    EXPECT_EQ(reset_password(connection, "ann", {&fresh, profile}, out, err), 0) << err.str();
    std::ostringstream json;
    EXPECT_EQ(list_users(connection, true, json, err), 0);
    EXPECT_NE(json.str().find(R"("is_admin":true,"status":"disabled","username":"Ann")"), std::string::npos)
        << json.str();
    EXPECT_EQ(enable_user(connection, "ann", out, err), 0);
    std::ostringstream plain;
    EXPECT_EQ(list_users(connection, false, plain, err), 0);
    EXPECT_EQ(plain.str().find("disabled"), std::string::npos);
}
