// The parts of the tool that know nothing of an index: options, JSON, numbers as people read them.
//
// Method: options are parsed from literal command lines; JSON is written to a memory stream and compared as text.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/cli/console/args.h"
#include "api/cli/console/json_writer.h"
#include "api/cli/console/units.h"

namespace {

// ---- options
// ----------------------------------------------------------------------------------------------------------

struct Parsed {
    bool ok = false;
    bool flag = false;
    uint32_t number = 7;
    uint64_t large = 0;
    double real = 0;
    const char *text = nullptr;
    std::vector<std::string> positionals;
    std::string message;
};

Parsed Parse(std::vector<std::string> arguments) {
    Parsed parsed;
    const args_option options[] = {
        {"flag", 'f', ARGS_FLAG, &parsed.flag, nullptr, "a flag"},
        {"number", 'k', ARGS_U32, &parsed.number, "N", "a number"},
        {"large", 0, ARGS_U64, &parsed.large, "N", "a large number"},
        {"real", 0, ARGS_DOUBLE, &parsed.real, "X", "a real number"},
        {"text", 0, ARGS_TEXT, &parsed.text, "TEXT", "a text"},
        {nullptr, 0, ARGS_FLAG, nullptr, nullptr, nullptr},
    };
    std::vector<char *> pointers;
    for (std::string &argument : arguments) pointers.push_back(&argument[0]);
    const char *positionals[2];
    size_t count = 0;
    args_error error = {};
    parsed.ok = args_parse(options, static_cast<int>(pointers.size()), pointers.data(), positionals, 2, &count, &error);
    parsed.positionals.assign(positionals, positionals + count);
    parsed.message = error.message;
    parsed.text = nullptr; // it pointed into `arguments`
    return parsed;
}

TEST(Args, TakesValuesInEveryForm) {
    for (const auto &line : std::vector<std::vector<std::string>>{{"--number", "12", "a", "b"},
                                                                  {"a", "--number=12", "b"},
                                                                  {"a", "b", "-k12"},
                                                                  {"-k", "12", "a", "--", "b"}}) {
        const Parsed parsed = Parse(line);
        EXPECT_TRUE(parsed.ok) << parsed.message;
        EXPECT_EQ(12u, parsed.number);
        EXPECT_EQ((std::vector<std::string>{"a", "b"}), parsed.positionals);
    }
}

TEST(Args, LetsTheLastOfAnOptionWin) { EXPECT_EQ(2u, Parse({"-k1", "--number", "2"}).number); }

TEST(Args, TakesEverythingBehindTwoDashesAsArguments) {
    const Parsed parsed = Parse({"--", "--flag", "-k"});
    EXPECT_TRUE(parsed.ok);
    EXPECT_FALSE(parsed.flag);
    EXPECT_EQ((std::vector<std::string>{"--flag", "-k"}), parsed.positionals);
}

TEST(Args, KeepsDefaultsAndReadsLimits) {
    EXPECT_EQ(7u, Parse({}).number);
    EXPECT_EQ(UINT32_MAX, Parse({"-k", "4294967295"}).number);
    EXPECT_EQ(UINT64_MAX, Parse({"--large", "18446744073709551615"}).large);
    EXPECT_EQ(-0.25, Parse({"--real", "-0.25"}).real);
}

TEST(Args, RefusesWhatItDoesNotUnderstand) {
    for (const auto &line : std::vector<std::vector<std::string>>{{"--unknown"},
                                                                  {"-x"},
                                                                  {"--numbe", "1"},
                                                                  {"--number"},
                                                                  {"--number", "-1"},
                                                                  {"--number", " 1"},
                                                                  {"--number", "1x"},
                                                                  {"--number="},
                                                                  {"--number", "4294967296"},
                                                                  {"--large", "18446744073709551616"},
                                                                  {"--real", "nan"},
                                                                  {"--real", "inf"},
                                                                  {"--real", "1.5.2"},
                                                                  {"--text="},
                                                                  {"--flag=1"},
                                                                  {"-f1"},
                                                                  {"a", "b", "c"}}) {
        const Parsed parsed = Parse(line);
        EXPECT_FALSE(parsed.ok) << line[0];
        EXPECT_NE("", parsed.message);
    }
}

// ---- JSON
// -------------------------------------------------------------------------------------------------------------

template <typename Write> std::string Json(Write write) {
    char *text = nullptr;
    size_t length = 0;
    json_writer json = {};
    json.stream = open_memstream(&text, &length);
    write(&json);
    fclose(json.stream);
    std::string result(text, length);
    free(text);
    return result;
}

TEST(JsonWriter, PutsCommasAndClosesWhatIsOpen) {
    EXPECT_EQ("{\"a\":1,\"b\":[true,-2,{\"c\":[]}],\"d\":null}\n", Json([](json_writer *json) {
                  json_object_begin(json, nullptr);
                  json_u64(json, "a", 1);
                  json_array_begin(json, "b");
                  json_bool(json, nullptr, true);
                  json_i64(json, nullptr, -2);
                  json_object_begin(json, nullptr);
                  json_array_begin(json, "c");
                  json_end_to(json, 1);
                  json_double(json, "d", INFINITY);
                  json_end_to(json, 0);
              }));
}

TEST(JsonWriter, EscapesTextsAndReplacesWhatIsNotUtf8) {
    const struct {
        const char *text, *json;
    } cases[] = {
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\x01\x7f", "\"\\u000a\\u0001\\u007f\""},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\xc3", "\"\\ufffd\""},
        {"\xc0\x80", "\"\\ufffd\\ufffd\""},                       // over-long
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            // a surrogate
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, // above U+10FFFF
        {"\xff"
         "x",
         "\"\\ufffdx\""},
    };
    for (const auto &one : cases)
        EXPECT_EQ(one.json, Json([&](json_writer *json) { json_text(json, nullptr, one.text); }));
}

TEST(JsonWriter, BringsEveryFloatBack) {
    for (const float value : {0.1f, 1e-38f, 16777217.0f, 3.4028235e38f, -1.0f / 3}) {
        const std::string text = Json([&](json_writer *json) { json_float(json, nullptr, value); });
        EXPECT_EQ(value, strtof(text.c_str(), nullptr)) << text;
    }
}

TEST(JsonWriter, WritesNothingWithoutAStream) {
    json_writer json = {};
    json_object_begin(&json, nullptr);
    json_text(&json, "a", "b");
    json_end_to(&json, 0);
    EXPECT_EQ(0u, json.depth);
}

// ---- units
// ------------------------------------------------------------------------------------------------------------

TEST(Units, ReadWell) {
    units_text buffer;
    EXPECT_STREQ("0", units_count(&buffer, 0));
    EXPECT_STREQ("999", units_count(&buffer, 999));
    EXPECT_STREQ("1,234,567", units_count(&buffer, 1234567));
    EXPECT_STREQ("18,446,744,073,709,551,615", units_count(&buffer, UINT64_MAX));
    EXPECT_STREQ("100 B", units_bytes(&buffer, 100));
    EXPECT_STREQ("1.5 KiB", units_bytes(&buffer, 1536));
    EXPECT_STREQ("16.0 EiB", units_bytes(&buffer, UINT64_MAX));
    EXPECT_STREQ("3.14", units_rate(&buffer, 3.14159));
    EXPECT_STREQ("12.3k", units_rate(&buffer, 12345.6));
    EXPECT_STREQ("4.2 ms", units_duration(&buffer, 0.0042));
    EXPECT_STREQ("3.20 s", units_duration(&buffer, 3.2));
    EXPECT_STREQ("1:00", units_duration(&buffer, 59.7));
    EXPECT_STREQ("1:15", units_duration(&buffer, 75));
    EXPECT_STREQ("1:02:03", units_duration(&buffer, 3723));
    EXPECT_STREQ("forever", units_duration(&buffer, 1e300));
}

} // namespace
