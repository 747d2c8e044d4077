#include "blob/sigv4.hpp"

#include <supd/crypto/sealed_stream.hpp>

#include <gtest/gtest.h>

namespace supd::blob {
namespace {

const std::string kEmptyHash = crypto::hex(crypto::sha256(""));

std::string signature_of(const std::string& authorization) {
    return authorization.substr(authorization.rfind('=') + 1);
}

// The published test suite of AWS ("aws-sig-v4-test-suite"): its key, date, region and service.
std::string of_suite(const std::string& method, const Pairs& query, Pairs headers,
                     const std::string& path = "/", const std::string& body = "") {
    headers.emplace_back("host", "example.amazonaws.com");
    headers.emplace_back("x-amz-date", "20150830T123600Z");
    const ToSign request{method, path, query, headers, crypto::hex(crypto::sha256(body))};
    const SigningKey key{"AKIDEXAMPLE", base::Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "us-east-1",
                         "service"};
    return authorization(request, key, "20150830T123600Z");
}

// The worked examples of "Signature Calculations for the Authorization Header" in the API reference of S3.
std::string of_s3(const std::string& method, const std::string& path, const Pairs& query, Pairs headers,
                  const std::string& hash) {
    headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
    headers.emplace_back("x-amz-content-sha256", hash);
    headers.emplace_back("x-amz-date", "20130524T000000Z");
    const ToSign request{method, path, query, headers, hash};
    const SigningKey key{"AKIAIOSFODNN7EXAMPLE", base::Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                         "us-east-1", "s3"};
    return signature_of(authorization(request, key, "20130524T000000Z"));
}

TEST(SigV4, TheSuitesGetVanilla) {
    EXPECT_EQ(of_suite("GET", {}, {}),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
              "SignedHeaders=host;x-amz-date, "
              "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4, TheSuitesOthers) {
    EXPECT_EQ(
        signature_of(of_suite("GET", {{"Param2", "value2"}, {"Param1", "value1"}}, {})),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");  // get-vanilla-query-order-key-case
    EXPECT_EQ(signature_of(of_suite("POST", {}, {})),
              "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");  // post-vanilla
    EXPECT_EQ(
        signature_of(of_suite("GET", {}, {{"my-header1", "value2,value2,value1"}})),
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea");  // get-header-key-duplicate
    EXPECT_EQ(
        signature_of(of_suite("GET", {}, {{"my-header1", "value1,value2,value3"}})),
        "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790");  // get-header-value-multiline
    EXPECT_EQ(
        signature_of(of_suite("GET", {}, {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}})),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");  // get-header-value-trim
}

TEST(SigV4, TheExamplesOfS3) {
    EXPECT_EQ(of_s3("GET", "/test.txt", {}, {{"range", "bytes=0-9"}}, kEmptyHash),
              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    EXPECT_EQ(
        of_s3("PUT", "/test$file.text", {},
              {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
              crypto::hex(crypto::sha256("Welcome to Amazon S3."))),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    EXPECT_EQ(of_s3("GET", "/", {{"lifecycle", ""}}, {}, kEmptyHash),
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    EXPECT_EQ(of_s3("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, kEmptyHash),
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, TimesAndEncoding) {
    EXPECT_EQ(amz_time("2015-08-30T12:36:00.123Z"), "20150830T123600Z");
    EXPECT_EQ(percent_encoded("/a b/\xC3\xA4~", true), "/a%20b/%C3%A4~");
    EXPECT_EQ(percent_encoded("a/b", false), "a%2Fb");
}

}  // namespace
}  // namespace supd::blob
