// probe.cc - see probe.h. The child gets the query as raw floats on its standard input and answers with one line of
// numbers.
#include "bench/probe.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

extern char **environ;

namespace bench {
namespace {

void drop_from_page_cache(const std::string &path) {
    int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
    fsync(file); // only clean pages can be dropped
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
}

Resident growth(const Resident &before, const Resident &after) {
    auto less = [](uint64_t a, uint64_t b) { return a > b ? a - b : 0; };
    return {less(after.total_bytes, before.total_bytes), less(after.anonymous_bytes, before.anonymous_bytes)};
}

} // namespace

ProbeResult probe(const std::string &library, const std::string &path, const Dataset &dataset, const float *query,
                  size_t k, size_t ef, bool cold) {
    if (cold) drop_from_page_cache(path);
    signal(SIGPIPE, SIG_IGN); // a child that dies early is reported below
    std::vector<std::string> words = {executable(),
                                      "--probe",
                                      library,
                                      path,
                                      std::to_string(dataset.dim),
                                      dataset.cosine ? "cosine" : "euclidean",
                                      std::to_string(k),
                                      std::to_string(ef)};
    std::vector<char *> arguments;
    for (std::string &word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);

    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0)
        throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
    pid_t child = -1;
    int failure = posix_spawn(&child, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(to_child[0]);
    close(from_child[1]);
    std::string answer;
    if (failure == 0) {
        // A query of 65,535 floats is more than a pipe holds; the child reads all of it before it writes anything.
        const char *bytes = reinterpret_cast<const char *>(query);
        size_t left = dataset.dim * sizeof(float);
        for (ssize_t written; left > 0; left -= static_cast<size_t>(written), bytes += written)
            if ((written = write(to_child[1], bytes, left)) <= 0) break;
    }
    close(to_child[1]);
    if (failure == 0) {
        char buffer[4096];
        for (ssize_t count; (count = read(from_child[0], buffer, sizeof buffer)) > 0;)
            answer.append(buffer, static_cast<size_t>(count));
    }
    close(from_child[0]);
    int status = 0;
    if (failure != 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error("the process that opens " + path + " with " + library + " failed");

    ProbeResult result;
    std::istringstream numbers(answer);
    numbers >> result.open_seconds >> result.first_answer_seconds >> result.after_open.total_bytes >>
        result.after_open.anonymous_bytes >> result.after_first_answer.total_bytes >>
        result.after_first_answer.anonymous_bytes;
    if (!numbers) throw std::runtime_error("the process that opens " + path + " gave no result");
    for (int64_t id; numbers >> id;) result.ids.push_back(id);
    return result;
}

ProbeResult probe_median(const std::string &library, const std::string &path, const Dataset &dataset,
                         const float *query, size_t k, size_t ef, bool cold, size_t count) {
    std::vector<ProbeResult> results;
    for (size_t i = 0; i < count; i++) results.push_back(probe(library, path, dataset, query, k, ef, cold));
    std::sort(results.begin(), results.end(), [](const ProbeResult &a, const ProbeResult &b) {
        return a.first_answer_seconds < b.first_answer_seconds;
    });
    return results[results.size() / 2];
}

bool is_probe(int argc, char **argv) { return argc == 8 && std::strcmp(argv[1], "--probe") == 0; }

int run_probe(int, char **argv, const AdapterFactory &factory) {
    try {
        std::string path = argv[3];
        size_t dim = std::strtoull(argv[4], nullptr, 10);
        size_t k = std::strtoull(argv[6], nullptr, 10);
        std::unique_ptr<Adapter> adapter = factory(argv[2], dim, std::strcmp(argv[5], "cosine") == 0);
        if (!adapter) throw std::runtime_error(std::string(argv[2]) + ": no such library");
        std::vector<float> query(dim);
        if (fread(query.data(), sizeof(float), dim, stdin) != dim) throw std::runtime_error("no query to search");
        std::vector<int64_t> ids(k);

        Resident before = resident();
        Stopwatch open_watch;
        adapter->load(path);
        double open_seconds = open_watch.seconds();
        Resident after_open = growth(before, resident()); // measuring memory is not part of the time
        Stopwatch search_watch;
        adapter->set_ef(std::strtoull(argv[7], nullptr, 10));
        adapter->search(query.data(), 1, k, ids.data());
        double first_answer_seconds = open_seconds + search_watch.seconds();
        Resident after_first_answer = growth(before, resident());

        printf("%.9f %.9f %llu %llu %llu %llu", open_seconds, first_answer_seconds,
               static_cast<unsigned long long>(after_open.total_bytes),
               static_cast<unsigned long long>(after_open.anonymous_bytes),
               static_cast<unsigned long long>(after_first_answer.total_bytes),
               static_cast<unsigned long long>(after_first_answer.anonymous_bytes));
        for (int64_t id : ids) printf(" %lld", static_cast<long long>(id));
        printf("\n");
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

} // namespace bench
