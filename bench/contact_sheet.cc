// contact_sheet.cc - see contact_sheet.h. Text is drawn with a small built-in font, so that nothing but libpng is
// needed.
#include "bench/contact_sheet.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <png.h>

namespace bench {
namespace {

struct Colour {
    uint8_t red, green, blue;
};
constexpr Colour paper = {250, 250, 248}, ink = {40, 44, 52}, faint = {128, 132, 140}, frame = {214, 214, 210},
                 same = {46, 139, 87}, other = {214, 84, 56};

// Five columns of seven pixels per character, the lowest bit on top.
struct Glyph {
    char character;
    uint8_t columns[5];
};
constexpr Glyph glyphs[] = {
    {'0', {0x3e, 0x51, 0x49, 0x45, 0x3e}}, {'1', {0x00, 0x42, 0x7f, 0x40, 0x00}}, {'2', {0x42, 0x61, 0x51, 0x49, 0x46}},
    {'3', {0x21, 0x41, 0x45, 0x4b, 0x31}}, {'4', {0x18, 0x14, 0x12, 0x7f, 0x10}}, {'5', {0x27, 0x45, 0x45, 0x45, 0x39}},
    {'6', {0x3c, 0x4a, 0x49, 0x49, 0x30}}, {'7', {0x01, 0x71, 0x09, 0x05, 0x03}}, {'8', {0x36, 0x49, 0x49, 0x49, 0x36}},
    {'9', {0x06, 0x49, 0x49, 0x29, 0x1e}}, {'A', {0x7e, 0x11, 0x11, 0x11, 0x7e}}, {'B', {0x7f, 0x49, 0x49, 0x49, 0x36}},
    {'C', {0x3e, 0x41, 0x41, 0x41, 0x22}}, {'D', {0x7f, 0x41, 0x41, 0x22, 0x1c}}, {'E', {0x7f, 0x49, 0x49, 0x49, 0x41}},
    {'F', {0x7f, 0x09, 0x09, 0x09, 0x01}}, {'G', {0x3e, 0x41, 0x49, 0x49, 0x7a}}, {'H', {0x7f, 0x08, 0x08, 0x08, 0x7f}},
    {'I', {0x00, 0x41, 0x7f, 0x41, 0x00}}, {'J', {0x20, 0x40, 0x41, 0x3f, 0x01}}, {'K', {0x7f, 0x08, 0x14, 0x22, 0x41}},
    {'L', {0x7f, 0x40, 0x40, 0x40, 0x40}}, {'M', {0x7f, 0x02, 0x0c, 0x02, 0x7f}}, {'N', {0x7f, 0x04, 0x08, 0x10, 0x7f}},
    {'O', {0x3e, 0x41, 0x41, 0x41, 0x3e}}, {'P', {0x7f, 0x09, 0x09, 0x09, 0x06}}, {'Q', {0x3e, 0x41, 0x51, 0x21, 0x5e}},
    {'R', {0x7f, 0x09, 0x19, 0x29, 0x46}}, {'S', {0x46, 0x49, 0x49, 0x49, 0x31}}, {'T', {0x01, 0x01, 0x7f, 0x01, 0x01}},
    {'U', {0x3f, 0x40, 0x40, 0x40, 0x3f}}, {'V', {0x1f, 0x20, 0x40, 0x20, 0x1f}}, {'W', {0x3f, 0x40, 0x38, 0x40, 0x3f}},
    {'X', {0x63, 0x14, 0x08, 0x14, 0x63}}, {'Y', {0x07, 0x08, 0x70, 0x08, 0x07}}, {'Z', {0x61, 0x51, 0x49, 0x45, 0x43}},
    {'-', {0x08, 0x08, 0x08, 0x08, 0x08}}, {'.', {0x00, 0x60, 0x60, 0x00, 0x00}}, {',', {0x00, 0x50, 0x30, 0x00, 0x00}},
};
constexpr size_t glyph_advance = 6, glyph_height = 7;

class Canvas {
  public:
    Canvas(size_t width, size_t height) : width_(width), height_(height), pixels_(width * height * 3) {
        fill(0, 0, width, height, paper);
    }

    void fill(size_t x, size_t y, size_t width, size_t height, Colour colour) {
        for (size_t row = y; row < y + height && row < height_; row++) {
            for (size_t column = x; column < x + width && column < width_; column++) {
                uint8_t *pixel = &pixels_[(row * width_ + column) * 3];
                pixel[0] = colour.red;
                pixel[1] = colour.green;
                pixel[2] = colour.blue;
            }
        }
    }

    static size_t text_width(const std::string &text, size_t scale) {
        return text.empty() ? 0 : (text.size() * glyph_advance - 1) * scale;
    }

    // Characters that the font lacks are left blank.
    void text(size_t x, size_t y, const std::string &text, size_t scale, Colour colour) {
        for (char character : text) {
            for (const Glyph &glyph : glyphs) {
                if (glyph.character != character) continue;
                for (size_t column = 0; column < 5; column++)
                    for (size_t row = 0; row < glyph_height; row++)
                        if (glyph.columns[column] >> row & 1)
                            fill(x + column * scale, y + row * scale, scale, scale, colour);
            }
            x += glyph_advance * scale;
        }
    }

    // An image in a thin frame. Dark becomes light: the images are light on dark, the sheet is paper.
    void image(size_t x, size_t y, const float *values, size_t side, size_t scale) {
        fill(x - 1, y - 1, side * scale + 2, side * scale + 2, frame);
        for (size_t row = 0; row < side; row++) {
            for (size_t column = 0; column < side; column++) {
                float value = std::fmin(std::fmax(values[row * side + column], 0.0f), 255.0f);
                uint8_t grey = static_cast<uint8_t>(255 - std::lround(value));
                fill(x + column * scale, y + row * scale, scale, scale, {grey, grey, grey});
            }
        }
    }

    void write(const std::string &path) const {
        png_image image;
        std::memset(&image, 0, sizeof image);
        image.version = PNG_IMAGE_VERSION;
        image.width = static_cast<png_uint_32>(width_);
        image.height = static_cast<png_uint_32>(height_);
        image.format = PNG_FORMAT_RGB;
        if (png_image_write_to_file(&image, path.c_str(), 0, pixels_.data(), 0, nullptr) == 0)
            throw std::runtime_error(path + ": " + image.message);
    }

  private:
    size_t width_, height_;
    std::vector<uint8_t> pixels_;
};

} // namespace

void write_contact_sheet(const std::string &path, const Dataset &dataset, size_t side,
                         const std::vector<std::string> &label_names, const std::vector<SheetRow> &rows) {
    if (side * side != dataset.dim || rows.empty()) throw std::runtime_error(path + ": these are no square images");
    constexpr size_t image_scale = 3, text_scale = 2, margin = 28, gap = 12, query_gap = 40, header_height = 58;
    const size_t tile = side * image_scale;
    const size_t caption_height = glyph_height * text_scale + 10, row_height = tile + caption_height + 18;
    const bool has_labels = !dataset.train_labels.empty() && !dataset.test_labels.empty();
    size_t names_width = 0;
    for (const std::string &name : label_names)
        names_width = std::max(names_width, Canvas::text_width(name, text_scale));
    const size_t query_x = margin + (has_labels && names_width > 0 ? names_width + 20 : 0);
    const size_t found_x = query_x + tile + query_gap;
    const size_t count = rows[0].ids.size();
    Canvas canvas(found_x + count * (tile + gap) - gap + margin,
                  header_height + rows.size() * row_height + margin - 18);

    const size_t header_y = 24;
    canvas.text(query_x, header_y, "QUERY", text_scale, faint);
    canvas.text(found_x, header_y, std::to_string(count) + " NEAREST, WITH DISTANCES", text_scale, faint);
    if (has_labels) {
        size_t x = found_x + count * (tile + gap) - gap;
        const std::string key_same = "SAME CLASS", key_other = "OTHER CLASS";
        x -= Canvas::text_width(key_other, text_scale);
        canvas.text(x, header_y, key_other, text_scale, faint);
        canvas.fill(x - 20, header_y + 1, 12, 12, other);
        x -= 44 + Canvas::text_width(key_same, text_scale);
        canvas.text(x, header_y, key_same, text_scale, faint);
        canvas.fill(x - 20, header_y + 1, 12, 12, same);
    }

    for (size_t r = 0; r < rows.size(); r++) {
        const size_t y = header_height + r * row_height;
        const float *query = dataset.test_row(rows[r].query);
        canvas.image(query_x, y, query, side, image_scale);
        if (has_labels) {
            size_t label = dataset.test_labels[rows[r].query];
            if (label < label_names.size())
                canvas.text(margin, y + (tile - glyph_height * text_scale) / 2, label_names[label], text_scale, ink);
        }
        canvas.fill(query_x + tile + query_gap / 2 - 1, y, 2, tile, frame);
        for (size_t i = 0; i < rows[r].ids.size(); i++) {
            if (rows[r].ids[i] < 0) continue;
            const size_t id = static_cast<size_t>(rows[r].ids[i]), x = found_x + i * (tile + gap);
            canvas.image(x, y, dataset.train_row(id), side, image_scale);
            char distance[32];
            snprintf(distance, sizeof distance, "%.0f", exact_distance(dataset, query, dataset.train_row(id)));
            const size_t caption_y = y + tile + 8;
            canvas.text(x + (has_labels ? 18 : 0), caption_y, distance, text_scale, ink);
            if (has_labels) {
                bool is_same = dataset.train_labels[id] == dataset.test_labels[rows[r].query];
                canvas.fill(x, caption_y + 1, 12, 12, is_same ? same : other);
            }
        }
    }
    canvas.write(path);
}

} // namespace bench
