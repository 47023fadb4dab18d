// An index and its model: every change is made to both, and what the index then answers is judged against the model.
#ifndef RHUMB_TESTS_TORTURE_LIFE_H
#define RHUMB_TESTS_TORTURE_LIFE_H

#include <functional>
#include <string>
#include <vector>

#include "include/rhumb.h"
#include "tests/torture/collection.h"
#include "tests/torture/judge.h"

namespace torture {

// Key number i of the model first gets row i of the collection. Changes may be made by several threads at once, if
// their keys differ.
class Life {
  public:
    Life(const Collection &collection, std::string folder, const Extent &extent, uint64_t seed, Findings *findings);
    Life(const Life &) = delete;
    Life &operator=(const Life &) = delete;
    ~Life();

    const Collection &collection() const { return collection_; }
    const Model &model() const { return model_; }
    size_t count() const { return collection_.count(); }
    Random &random() { return random_; }

    // ---- changes ----

    void insert(size_t number) { insert_as(number, number); }
    void insert_as(size_t number, size_t row);
    void upsert(size_t number, size_t row);
    void erase(size_t number);
    void insert_range(size_t begin, size_t end); // one by one
    void batch(size_t begin, size_t end, uint32_t thread_count);
    void failed_batch(size_t begin, size_t end); // its last key exists: nothing of it may stay
    void on_threads(size_t thread_count, const std::function<void(size_t thread)> &work);

    // ---- upkeep ----

    void checkpoint();
    void wait_idle();
    void set_compact_threads(uint32_t count) { compact_threads_ = count; } // 1 by default: the same result each time
    void compact(bool second_pass = false, rhumb_order order = RHUMB_ORDER_DEFAULT);
    void compact_in_background();
    void compact_into_new_file();
    void repair_into_new_file();
    void reopen();
    void open_reader();     // in place of the writer, with the last checkpoint
    void open_reader_too(); // a reader as well as the writer, which judge_reader judges
    void refresh_reader();
    void judge_reader(const std::string &step);

    // The share of deleted vectors at which the index is compacted by itself. Until it is set that is 1, never, so that
    // deleted vectors are there when searches are judged.
    void set_dead_share(double share);

    // Makes changes in a process that is killed, and opens the index again.
    void crash_after(const std::function<void()> &changes);

    // ---- judgement ----

    void judge(const std::string &step);
    // Only counts answers and compares them; for indexes of a few vectors, after every change.
    void judge_small(const std::string &step);

  private:
    std::string path(size_t number) const { return folder_ + "/" + std::to_string(number) + ".rhumb"; }
    bool must(rhumb_status status, const std::string &what);
    rhumb_open_options open_options() const;
    bool open(bool read_only);
    void close();
    void judge_handle(rhumb_index *index, const Model &model, const std::string &step, const Extent &extent);

    const Collection &collection_;
    std::string folder_;
    Extent extent_;
    Random random_;
    Findings *findings_;
    Model model_, reader_model_;
    size_t path_number_ = 0;
    uint32_t compact_threads_ = 1;
    double dead_share_ = 1;
    bool only_model_ = false; // changes were made by a process that is dead now
    rhumb_index *index_ = nullptr, *reader_ = nullptr;
};

// A life: what happens to an index, and when it is judged.
struct Course {
    const char *name;
    void (*run)(Life &life);
};

const std::vector<Course> &all_courses();

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_LIFE_H
