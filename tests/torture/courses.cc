// courses.cc - the lives of the torture set; see life.h.
//
// Lives that delete hold on to what they delete: they are judged with the dead in the graph, and some again after the
// index was compacted. Where copies matter, lives are cruel to the first of them, which a graph may use for all.
#include <algorithm>
#include <map>

#include "tests/torture/life.h"

namespace torture {

namespace {

using Numbers = std::vector<size_t>;

void shuffle(Life &life, Numbers *numbers) { std::shuffle(numbers->begin(), numbers->end(), life.random()); }

// One thread makes the same graph each time.
void insert_all(Life &life) { life.batch(0, life.count(), 1); }

void erase_all(Life &life, const Numbers &numbers) {
    for (size_t number : numbers) life.erase(number);
}

// The keys of the live copies of each value, in the order of insertion.
std::vector<Numbers> live_copies(const Life &life) {
    std::map<size_t, Numbers> copies;
    for (size_t number : life.model().live())
        copies[life.collection().value(life.model().row(number))].push_back(number);
    std::vector<Numbers> all;
    for (auto &entry : copies) all.push_back(std::move(entry.second));
    return all;
}

// A region of the data: the rows nearest to one of them.
Numbers region(Life &life, double share) {
    return life.collection().region(life.random()() % life.count(), static_cast<size_t>(share * (double)life.count()));
}

Numbers random_live(Life &life, double share) {
    Numbers live = life.model().live();
    shuffle(life, &live);
    live.resize(static_cast<size_t>(share * static_cast<double>(live.size())));
    return live;
}

// ---- inserting ----

void one_by_one(Life &life) {
    life.insert_range(0, life.count() / 2);
    life.judge("half of it");
    life.insert_range(life.count() / 2, life.count());
    life.judge("inserted");
}

void one_batch(Life &life) {
    life.batch(0, life.count(), 4);
    life.judge("inserted");
}

void batches_by_threads(Life &life) {
    const size_t threads = 4, each = life.count() / threads / 5;
    life.on_threads(threads, [&](size_t thread) {
        for (size_t i = 0; i < 5; i++) {
            const size_t begin = (i * threads + thread) * each;
            life.batch(begin, begin + each, 1);
        }
    });
    life.judge("inserted");
}

void inserts_by_threads(Life &life) {
    life.on_threads(4, [&](size_t thread) {
        for (size_t number = thread; number < life.count(); number += 4) life.insert(number);
    });
    life.judge("inserted");
}

// A batch that fails leaves dead vectors that were never there, copies among them.
void failed_batches(Life &life) {
    life.batch(0, life.count() / 3, 1);
    life.failed_batch(life.count() / 3, life.count());
    life.judge("failed");
    life.batch(life.count() / 3, life.count(), 1);
    life.judge("done again");
}

// From nothing to a few vectors and back, judged all the time.
void few(Life &life) {
    life.judge_small("nothing");
    const size_t count = std::min<size_t>(12, life.count());
    for (size_t i = 0; i < count; i++) {
        life.insert(i);
        life.judge_small("growing");
    }
    for (size_t i = 0; i < count; i += 2) {
        life.upsert(i, count - 1 - i);
        life.judge_small("changing");
    }
    for (size_t i = 0; i < count; i++) {
        life.erase(i);
        life.judge_small("shrinking");
    }
    life.insert_range(0, count);
    life.judge_small("again");
}

// ---- replacing ----

// Half of the rows are inserted, then every key gets one of the other half.
void moves(Life &life) {
    const size_t half = life.count() / 2;
    life.batch(0, half, 1);
    for (size_t i = 0; i < half; i++) life.upsert(i, half + i);
    life.judge("moved");
}

void moves_back(Life &life) {
    const size_t half = life.count() / 2;
    life.batch(0, half, 1);
    for (size_t i = 0; i < half; i++) life.upsert(i, half + i);
    for (size_t i = 0; i < half; i++) life.upsert(i, i);
    life.judge("moved back");
    life.compact();
    life.judge("compacted");
}

void same_again(Life &life) {
    insert_all(life);
    for (size_t turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < life.count(); i += 3) life.upsert(i, i);
    }
    life.judge("the same again");
}

// All keys of a region get vectors of elsewhere: nothing is left there.
void moves_away(Life &life) {
    insert_all(life);
    const Numbers near = region(life, 0.6);
    std::vector<char> is_near(life.count());
    for (size_t number : near) is_near[number] = 1;
    Numbers far;
    for (size_t row = 0; row < life.count(); row++) {
        if (!is_near[row]) far.push_back(row);
    }
    for (size_t number : near) life.upsert(number, far[life.random()() % far.size()]);
    life.judge("moved away");
    life.reopen();
    life.judge("reopened");
}

// All keys get one of five vectors, and then their own again.
void gathers(Life &life) {
    insert_all(life);
    for (size_t i = 0; i < life.count(); i++) life.upsert(i, i % 5);
    life.judge("gathered");
    for (size_t i = 0; i < life.count(); i++) life.upsert(i, i);
    life.judge("scattered");
}

void hot_keys(Life &life) {
    insert_all(life);
    for (size_t turn = 0; turn < life.count() / 2; turn++) life.upsert(turn % 4, life.random()() % life.count());
    life.judge("replaced");
}

// ---- deleting ----

void delete_third(Life &life) {
    insert_all(life);
    erase_all(life, random_live(life, 1.0 / 3));
    life.judge("deleted");
}

void delete_region(Life &life) {
    insert_all(life);
    erase_all(life, region(life, 0.4));
    life.judge("deleted");
    life.checkpoint();
    life.open_reader();
    life.judge("reader");
}

// All but a few of a large region.
void delete_most_of_region(Life &life) {
    insert_all(life);
    Numbers near = region(life, 0.8);
    shuffle(life, &near);
    near.resize(near.size() * 95 / 100);
    erase_all(life, near);
    life.judge("deleted");
}

// Few are dead, but all of them in one place.
void delete_small_region(Life &life) {
    insert_all(life);
    erase_all(life, region(life, 0.05));
    life.judge("deleted");
}

void delete_nearly_all(Life &life) {
    insert_all(life);
    erase_all(life, random_live(life, 0.99));
    life.judge("deleted");
}

// With a compaction that the index begins by itself.
void delete_with_upkeep(Life &life) {
    life.set_dead_share(0);
    insert_all(life);
    erase_all(life, region(life, 0.5));
    life.judge("deleted");
    life.wait_idle();
    life.judge("idle");
}

void delete_value(Life &life) {
    insert_all(life);
    std::vector<Numbers> copies = live_copies(life);
    std::sort(copies.begin(), copies.end(), [](const Numbers &a, const Numbers &b) { return a.size() > b.size(); });
    for (size_t i = 0; i < std::max<size_t>(1, copies.size() / 10); i++) erase_all(life, copies[i]);
    life.judge("deleted");
}

void delete_all_but_one_copy(Life &life) {
    insert_all(life);
    for (Numbers &copies : live_copies(life)) {
        shuffle(life, &copies);
        copies.pop_back();
        erase_all(life, copies);
    }
    life.judge("deleted");
}

// Again and again, so that what takes its place is deleted too.
void delete_first_copies(Life &life) {
    insert_all(life);
    for (size_t turn = 0; turn < 5; turn++) {
        for (const Numbers &copies : live_copies(life)) {
            if (copies.size() > 1) life.erase(copies.front());
        }
    }
    life.judge("deleted");
    life.reopen();
    for (const Numbers &copies : live_copies(life)) {
        if (copies.size() > 1) life.erase(copies.front());
    }
    life.judge("reopened, deleted");
}

void delete_half_of_copies(Life &life) {
    life.insert_range(0, life.count());
    for (Numbers &copies : live_copies(life)) {
        shuffle(life, &copies);
        copies.resize(copies.size() / 2);
        erase_all(life, copies);
    }
    life.judge("deleted");
}

// A value disappears and appears again.
void delete_and_insert_again(Life &life) {
    insert_all(life);
    const Numbers near = region(life, 0.5);
    for (size_t turn = 0; turn < 2; turn++) {
        erase_all(life, near);
        for (size_t number : near) life.insert(number);
    }
    life.judge("inserted again");
}

// Every key, and then others under the same keys.
void delete_all(Life &life) {
    life.batch(0, life.count() / 2, 1);
    erase_all(life, life.model().live());
    life.judge("empty");
    for (size_t i = 0; i < life.count() / 2; i++) life.insert_as(i, life.count() / 2 + i);
    life.judge("inserted again");
}

// ---- recovery ----

void recovery(Life &life) {
    const size_t third = life.count() / 3;
    life.batch(0, third, 1);
    life.crash_after([&] {
        life.batch(third, 2 * third, 1);
        life.insert_range(2 * third, life.count());
        for (size_t i = 0; i < third; i += 4) life.erase(i);
        for (size_t i = 1; i < third; i += 4) life.upsert(i, life.count() - 1 - i);
    });
    life.judge("at once");
    life.wait_idle();
    life.judge("linked");
}

// All of it comes from the log.
void recovery_of_all(Life &life) {
    life.crash_after([&] { life.insert_range(0, life.count()); });
    life.judge("at once");
    life.wait_idle();
    life.judge("linked");
    life.reopen();
    life.judge("reopened");
}

void recovery_of_deletes(Life &life) {
    insert_all(life);
    const Numbers near = region(life, 0.4);
    const std::vector<Numbers> copies = live_copies(life);
    life.crash_after([&] {
        for (const Numbers &some : copies) life.erase(some.front());
        for (size_t number : near) {
            if (life.model().row(number) != ABSENT) life.erase(number);
        }
    });
    life.judge("at once");
    life.wait_idle();
    life.judge("idle");
}

void recovery_twice(Life &life) {
    const size_t half = life.count() / 2;
    life.crash_after([&] { life.batch(0, half, 1); });
    life.crash_after([&] {
        life.insert_range(half, life.count());
        for (size_t i = 0; i < half; i += 2) life.upsert(i, i + 1);
    });
    life.wait_idle();
    life.judge("linked");
}

// ---- compaction, repair, readers ----

void compaction(Life &life) {
    insert_all(life);
    life.compact();
    life.judge("compacted");
    erase_all(life, region(life, 0.3));
    life.compact();
    life.judge("deleted, compacted");
}

void compaction_and_more(Life &life) {
    life.batch(0, life.count() / 2, 1);
    for (const Numbers &copies : live_copies(life)) life.erase(copies.front());
    life.compact();
    life.insert_range(life.count() / 2, life.count());
    for (const Numbers &copies : live_copies(life)) life.erase(copies.front());
    life.judge("compacted, changed");
    life.compact();
    life.judge("compacted again");
}

void compactions_by_threads(Life &life) {
    insert_all(life);
    erase_all(life, random_live(life, 0.3));
    life.set_compact_threads(4);
    life.compact();
    life.judge("compacted");
    erase_all(life, random_live(life, 0.3));
    life.compact(true);
    life.judge("compacted again");
}

void compaction_second_pass(Life &life) {
    insert_all(life);
    erase_all(life, random_live(life, 0.2));
    life.compact(true);
    life.judge("compacted");
}

void compaction_orders(Life &life) {
    insert_all(life);
    for (const rhumb_order order : {RHUMB_ORDER_KEEP, RHUMB_ORDER_BREADTH, RHUMB_ORDER_RCM, RHUMB_ORDER_WINDOW}) {
        erase_all(life, random_live(life, 0.1));
        life.compact(false, order);
        life.judge("order " + std::to_string(order));
    }
}

void compaction_into_file(Life &life) {
    insert_all(life);
    erase_all(life, random_live(life, 0.3));
    life.compact_into_new_file();
    life.judge("compacted");
    life.compact_into_new_file();
    life.judge("compacted again");
}

// Changes that run concurrently with a compaction are carried over.
void compaction_with_changes(Life &life) {
    life.batch(0, life.count() * 2 / 3, 1);
    for (const Numbers &copies : live_copies(life)) {
        if (copies.size() > 2) life.erase(copies.front());
    }
    life.compact_in_background();
    for (size_t i = 0; i < life.count() / 3; i++) {
        life.insert(life.count() * 2 / 3 + i);
        if (i % 3 == 0) life.upsert(i, life.count() - 1 - i);
        if (i % 3 == 1 && life.model().row(i) != ABSENT) life.erase(i);
    }
    life.wait_idle();
    life.judge("compacted, changed");
}

void repair(Life &life) {
    insert_all(life);
    erase_all(life, region(life, 0.3));
    for (const Numbers &copies : live_copies(life)) {
        if (copies.size() > 1) life.erase(copies.front());
    }
    life.repair_into_new_file();
    life.judge("repaired");
}

void readers(Life &life) {
    life.batch(0, life.count() / 2, 1);
    life.open_reader_too();
    life.judge_reader("reader");
    life.batch(life.count() / 2, life.count(), 1);
    erase_all(life, region(life, 0.4));
    life.judge_reader("reader of the past");
    life.refresh_reader();
    life.judge_reader("reader refreshed");
    life.compact();
    life.refresh_reader();
    life.judge_reader("reader of the compacted");
}

// ---- everything ----

void change_at_random(Life &life, Random &random, size_t first, size_t step, size_t times) {
    for (size_t i = 0; i < times; i++) {
        const size_t number = first + step * (random() % (life.count() / step));
        const size_t kind = random() % 4;
        if (kind == 0 && life.model().row(number) != ABSENT) {
            life.erase(number);
        } else if (kind == 1 && life.model().row(number) == ABSENT) {
            life.insert(number);
        } else if (kind > 1) {
            life.upsert(number, random() % life.count());
        }
    }
}

void churn(Life &life) {
    insert_all(life);
    for (size_t turn = 0; turn < 3; turn++) {
        change_at_random(life, life.random(), 0, 1, life.count() / 2);
        if (turn == 1) life.checkpoint();
    }
    life.judge("changed");
    life.compact();
    change_at_random(life, life.random(), 0, 1, life.count() / 2);
    life.judge("compacted, changed");
}

// Threads have keys of their own, but share the values.
void churn_by_threads(Life &life) {
    life.set_dead_share(0);
    insert_all(life);
    life.on_threads(4, [&](size_t thread) {
        Random random(thread + 1);
        change_at_random(life, random, thread, 4, life.count() / 3);
    });
    life.judge("changed");
    life.wait_idle();
    life.judge("idle");
}

// Threads that insert and delete copies of the same few vectors, and nothing else.
void copies_by_threads(Life &life) {
    const size_t threads = 4, each = life.count() / threads;
    life.on_threads(threads, [&](size_t thread) {
        const size_t first = thread * each;
        for (size_t i = 0; i < each; i++) {
            life.insert_as(first + i, i % 3);
            if (i >= 3 && i % 2 == 0) life.erase(first + i - 3);
        }
        for (size_t i = 0; i < each; i += 5) life.upsert(first + i, first + i);
    });
    life.judge("changed");
    life.compact();
    life.judge("compacted");
}

} // namespace

const std::vector<Course> &all_courses() {
    static const std::vector<Course> courses = {
        {"one_by_one", one_by_one},
        {"one_batch", one_batch},
        {"batches_by_threads", batches_by_threads},
        {"inserts_by_threads", inserts_by_threads},
        {"failed_batches", failed_batches},
        {"few", few},
        {"moves", moves},
        {"moves_back", moves_back},
        {"same_again", same_again},
        {"moves_away", moves_away},
        {"gathers", gathers},
        {"hot_keys", hot_keys},
        {"delete_third", delete_third},
        {"delete_region", delete_region},
        {"delete_most_of_region", delete_most_of_region},
        {"delete_small_region", delete_small_region},
        {"delete_nearly_all", delete_nearly_all},
        {"delete_with_upkeep", delete_with_upkeep},
        {"delete_value", delete_value},
        {"delete_all_but_one_copy", delete_all_but_one_copy},
        {"delete_first_copies", delete_first_copies},
        {"delete_half_of_copies", delete_half_of_copies},
        {"delete_and_insert_again", delete_and_insert_again},
        {"delete_all", delete_all},
        {"recovery", recovery},
        {"recovery_of_all", recovery_of_all},
        {"recovery_of_deletes", recovery_of_deletes},
        {"recovery_twice", recovery_twice},
        {"compaction", compaction},
        {"compaction_and_more", compaction_and_more},
        {"compactions_by_threads", compactions_by_threads},
        {"compaction_second_pass", compaction_second_pass},
        {"compaction_orders", compaction_orders},
        {"compaction_into_file", compaction_into_file},
        {"compaction_with_changes", compaction_with_changes},
        {"repair", repair},
        {"readers", readers},
        {"churn", churn},
        {"churn_by_threads", churn_by_threads},
        {"copies_by_threads", copies_by_threads},
    };
    return courses;
}

} // namespace torture
