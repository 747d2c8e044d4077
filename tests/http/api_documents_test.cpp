#include <supd/http/api_documents.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace supd::http {
namespace {

TEST(ApiDocumentsTest, both_are_whole) {
    const auto openapi = nlohmann::json::parse(openapi_json());
    EXPECT_EQ(openapi["openapi"], "3.1.0");
    EXPECT_TRUE(openapi["paths"].contains("/api/v1/messages"));
    const auto asyncapi = nlohmann::json::parse(asyncapi_json());
    EXPECT_EQ(asyncapi["asyncapi"], "3.0.0");
    EXPECT_EQ(openapi["info"]["version"], asyncapi["info"]["version"]);
}

}  // namespace
}  // namespace supd::http
