// A soak: processes that write to indexes are killed every few seconds and started again, next to a reader that never
// refreshes, and what they take is measured once a second: file, log, mappings, address space, memory.
//
//   main       one index; three threads replace hot keys and random keys, insert batches of 1,000 (all or nothing), and
//              delete old batches
//   small      200 indexes of twenty vectors, open for writing in one process
//   reader     opens the main index in the first second and stays on that version
//
// Each life of a writer begins with a check of every acknowledged operation and every batch, and the soak ends with a
// verification. The table has the highest value of each period; the JSON has every second, for plot_soak.py.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "bench/json.h"
#include "bench/machine.h"
#include "bench/record.h"
#include "bench/soak_life.h"

namespace bench {
namespace {

struct Options {
    std::string directory = ".";
    std::string json;
    unsigned seconds = 1800;
    unsigned life_seconds = 4; // a writer lives half as long to half as long again
};

struct Memory {
    uint64_t mapping_count = 0;
    uint64_t address_bytes = 0;
    uint64_t anonymous_bytes = 0;
};

struct Sample {
    unsigned second = 0;
    uint64_t file_bytes = 0; // on the disk, without holes
    uint64_t log_bytes = 0;
    uint64_t small_bytes = 0; // files and logs of all small indexes
    Memory main, small, reader;
    uint64_t hot_ns = 0;
    uint64_t contains_ns = 0;
};

uint64_t disk_bytes(const std::string &path) {
    struct stat facts;
    return stat(path.c_str(), &facts) == 0 ? static_cast<uint64_t>(facts.st_blocks) * 512 : 0;
}

uint64_t small_disk_bytes(const std::string &directory) {
    uint64_t bytes = 0;
    DIR *folder = opendir(directory.c_str());
    if (folder == nullptr) return 0;
    while (const struct dirent *entry = readdir(folder)) {
        const std::string name = entry->d_name;
        if (name.rfind("small-", 0) == 0) bytes += disk_bytes(directory + "/" + name);
    }
    closedir(folder);
    return bytes;
}

Memory memory_of(pid_t process) {
    Memory memory;
    const std::string folder = "/proc/" + std::to_string(process);
    std::ifstream maps(folder + "/maps"), status(folder + "/status");
    std::string line;
    while (std::getline(maps, line)) memory.mapping_count++;
    while (std::getline(status, line)) {
        unsigned long long kib = 0;
        if (sscanf(line.c_str(), "VmSize: %llu", &kib) == 1) memory.address_bytes = kib << 10;
        if (sscanf(line.c_str(), "RssAnon: %llu", &kib) == 1) memory.anonymous_bytes = kib << 10;
    }
    return memory;
}

// A process of the soak, which is started again whenever it has ended.
class Process {
  public:
    Process(std::function<void()> life, unsigned life_seconds)
        : life_(std::move(life)), life_seconds_(life_seconds), random_(life_seconds) {
        start();
    }
    pid_t id() const { return id_; }
    unsigned kill_count() const { return kill_count_; }

    // Once a second: kills the process when its time is up, and starts the next one.
    void tick() {
        int status = 0;
        const bool ended = waitpid(id_, &status, WNOHANG) == id_;
        if (!ended && (life_seconds_ == 0 || --seconds_left_ > 0)) return;
        if (!ended) end();
        start();
    }
    void end() {
        kill(id_, SIGKILL);
        waitpid(id_, nullptr, 0);
        kill_count_++;
    }

  private:
    void start() {
        seconds_left_ = static_cast<int>(life_seconds_ / 2 + random_() % (life_seconds_ + 1));
        id_ = fork();
        if (id_ == 0) {
            life_();
            _exit(0);
        }
    }
    std::function<void()> life_;
    unsigned life_seconds_;
    std::mt19937 random_;
    int seconds_left_ = 0;
    pid_t id_ = -1;
    unsigned kill_count_ = 0;
};

Sample highest(const std::vector<Sample> &samples, size_t begin, size_t end) {
    Sample all = samples[begin];
    const auto raise = [](uint64_t &value, uint64_t other) { value = std::max(value, other); };
    for (size_t i = begin; i < end; i++) {
        const Sample &one = samples[i];
        raise(all.file_bytes, one.file_bytes);
        raise(all.log_bytes, one.log_bytes);
        raise(all.small_bytes, one.small_bytes);
        raise(all.hot_ns, one.hot_ns);
        raise(all.contains_ns, one.contains_ns);
        for (Memory Sample::*process : {&Sample::main, &Sample::small}) {
            raise((all.*process).mapping_count, (one.*process).mapping_count);
            raise((all.*process).address_bytes, (one.*process).address_bytes);
            raise((all.*process).anonymous_bytes, (one.*process).anonymous_bytes);
        }
    }
    return all;
}

void print_table(const std::vector<Sample> &samples) {
    constexpr size_t kPeriods = 10;
    const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    printf("Highest values of each tenth of the time; MiB, microseconds:\n\n");
    printf("           main index                                              200 small indexes\n");
    printf("%8s %8s %6s %9s %9s %8s %9s %9s %8s %9s %9s %8s\n", "until s", "file", "log", "mappings", "addresses",
           "memory", "hot us", "contains", "files", "mappings", "addresses", "memory");
    for (size_t i = 0; i < kPeriods; i++) {
        const size_t begin = i * samples.size() / kPeriods, end = (i + 1) * samples.size() / kPeriods;
        if (begin == end) continue;
        const Sample s = highest(samples, begin, end);
        printf("%8u %8.1f %6.1f %9llu %9.0f %8.1f %9.1f %9.2f %8.1f %9llu %9.0f %8.1f\n", samples[end - 1].second + 1,
               mib(s.file_bytes), mib(s.log_bytes), static_cast<unsigned long long>(s.main.mapping_count),
               mib(s.main.address_bytes), mib(s.main.anonymous_bytes), static_cast<double>(s.hot_ns) / 1e3,
               static_cast<double>(s.contains_ns) / 1e3, mib(s.small_bytes),
               static_cast<unsigned long long>(s.small.mapping_count), mib(s.small.address_bytes),
               mib(s.small.anonymous_bytes));
    }
}

void add_memory(Json *json, const std::string &name, const Memory &memory) {
    json->begin_object(name);
    json->integer("mapping_count", memory.mapping_count);
    json->integer("address_bytes", memory.address_bytes);
    json->integer("anonymous_bytes", memory.anonymous_bytes);
    json->end_object();
}

void save(const std::string &path, const std::vector<Sample> &samples) {
    Json json;
    json.begin_object();
    json.text("commit", source_commit());
    json.text("cpu", cpu_model());
    json.begin_array("seconds");
    for (const Sample &sample : samples) {
        json.begin_object();
        json.integer("second", sample.second);
        json.integer("file_bytes", sample.file_bytes);
        json.integer("log_bytes", sample.log_bytes);
        json.integer("small_bytes", sample.small_bytes);
        add_memory(&json, "main", sample.main);
        add_memory(&json, "small", sample.small);
        add_memory(&json, "reader", sample.reader);
        json.end_object();
    }
    json.end_array();
    json.end_object();
    json.save(path);
}

int run(const Options &options) {
    void *memory = mmap(nullptr, sizeof(SoakProgress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    SoakProgress *progress = new (memory) SoakProgress;
    const std::string path = options.directory + "/soak.rhumb";
    std::vector<Sample> samples;
    fflush(stdout); // before it is inherited
    Process writer([&] { soak_writer(path, progress); }, options.life_seconds);
    Process small([&] { soak_small_writer(options.directory, progress); }, options.life_seconds + 1);
    while (!file_exists(path)) usleep(10000);
    sleep(1);
    Process reader([&] { soak_reader(path, progress); }, 0);
    for (unsigned second = 0; second < options.seconds; second++) {
        sleep(1);
        Sample sample;
        sample.second = second;
        sample.file_bytes = disk_bytes(path);
        sample.log_bytes = disk_bytes(path + "-wal");
        sample.small_bytes = small_disk_bytes(options.directory);
        sample.main = memory_of(writer.id());
        sample.small = memory_of(small.id());
        sample.reader = memory_of(reader.id());
        sample.hot_ns = progress->hot_median_ns;
        sample.contains_ns = progress->contains_median_ns;
        samples.push_back(sample);
        writer.tick();
        small.tick();
        reader.tick();
    }
    for (Process *process : {&writer, &small, &reader}) process->end();
    Process check([&] { soak_check(path, progress); }, 0);
    int status = 0;
    waitpid(check.id(), &status, 0);
    print_table(samples);
    printf("\n%u kills of the one writer, %u of the other; %llu openings were checked, the slowest took %.0f ms; "
           "%llu operations; %llu faults\n",
           writer.kill_count(), small.kill_count(), static_cast<unsigned long long>(progress->lives),
           static_cast<double>(progress->open_max_ns) / 1e6, static_cast<unsigned long long>(progress->operations),
           static_cast<unsigned long long>(progress->faults));
    printf("At the end, closed: %.1f MiB\n", static_cast<double>(disk_bytes(path)) / (1 << 20));
    if (!options.json.empty()) save(options.json, samples);
    return status == 0 && progress->faults == 0 ? 0 : 1;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    bench::Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--json") options.json = argv[i + 1];
        if (name == "--seconds") options.seconds = static_cast<unsigned>(atoi(argv[i + 1]));
        if (name == "--life") options.life_seconds = static_cast<unsigned>(atoi(argv[i + 1]));
    }
    if (argc % 2 == 0 || options.seconds == 0 || options.life_seconds == 0) {
        fprintf(stderr, "usage: soak [--dir EMPTY_FOLDER] [--seconds N] [--life SECONDS] [--json FILE]\n");
        return 2;
    }
    bench::print_record("what writers that are killed every few seconds take: file, log, mappings, memory", "soak",
                        argc, argv);
    try {
        return bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "soak: %s\n", error.what());
        return 1;
    }
}
