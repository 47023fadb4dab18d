// json.h - writes JSON, indented, to a file. It keeps commas and nesting correct; the caller chooses names and order.
#ifndef RHUMB_BENCH_JSON_H
#define RHUMB_BENCH_JSON_H

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

class Json {
  public:
    // `name` is empty for elements of arrays and for the whole.
    void begin_object(const std::string &name = "") { begin(name, '{'); }
    void begin_array(const std::string &name) { begin(name, '['); }
    void end_object() { end('}'); }
    void end_array() { end(']'); }

    void text(const std::string &name, const std::string &value) {
        key(name);
        text_ += quoted(value);
    }
    void integer(const std::string &name, uint64_t value) {
        key(name);
        text_ += std::to_string(value);
    }
    // NaN and infinity are written as null.
    void number(const std::string &name, double value) {
        key(name);
        char digits[32];
        snprintf(digits, sizeof digits, "%.6g", value);
        text_ += std::isfinite(value) ? digits : "null";
    }
    void boolean(const std::string &name, bool value) {
        key(name);
        text_ += value ? "true" : "false";
    }

    // Throws std::runtime_error.
    void save(const std::string &path) const {
        std::ofstream file(path);
        file << text_ << "\n";
        file.close();
        if (!file) throw std::runtime_error(path + ": cannot be written");
    }

  private:
    void begin(const std::string &name, char bracket) {
        key(name);
        text_ += bracket;
        depth_++;
        is_first_ = true;
    }
    void end(char bracket) {
        depth_--;
        if (!is_first_) text_ += "\n" + std::string(2 * depth_, ' ');
        text_ += bracket;
        is_first_ = false;
    }
    void key(const std::string &name) {
        if (depth_ > 0) text_ += (is_first_ ? "\n" : ",\n") + std::string(2 * depth_, ' ');
        is_first_ = false;
        if (!name.empty()) text_ += quoted(name) + ": ";
    }
    static std::string quoted(const std::string &value) {
        std::string result = "\"";
        for (char c : value) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
            if (c == '"' || c == '\\')
                result += std::string("\\") + c;
            else if (static_cast<unsigned char>(c) < 0x20)
                result += escape;
            else
                result += c;
        }
        return result + "\"";
    }

    std::string text_;
    size_t depth_ = 0;
    bool is_first_ = true;
};

} // namespace bench

#endif // RHUMB_BENCH_JSON_H
