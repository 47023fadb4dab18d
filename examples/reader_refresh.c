/* One process writes an index while another reads it. The reader sees one checkpoint, unchanged, until it refreshes.
 *
 *   cc reader_refresh.c -o reader_refresh -lrhumb
 *   ./reader_refresh shared.rhumb
 *
 * The process forks before it calls rhumb: a handle must not be used in a forked child. The two take turns through a
 * pair of sockets.
 */
#include <rhumb.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIM 4
#define STEP 100u
#define ROUND_COUNT 3

static bool ok(rhumb_status status) {
    if (status == RHUMB_OK) return true;
    fprintf(stderr, "%s: %s\n", rhumb_status_name(status), rhumb_error_last()->message);
    return false;
}

/* Lets the other process continue; waits for it. Both fail if it has ended. */
static bool pass(int peer) { return send(peer, "", 1, MSG_NOSIGNAL) == 1; }

static bool await(int peer) {
    char byte;
    return recv(peer, &byte, 1, 0) == 1;
}

/* Inserts STEP vectors with the keys after `first_key`, without publishing them. */
static bool insert(rhumb_index *index, uint64_t first_key) {
    for (uint64_t key = first_key; key < first_key + STEP; key++) {
        const float vector[DIM] = {(float)key, (float)(key % 10), (float)(key % 7), 1};
        if (!ok(rhumb_index_insert(index, key, vector))) return false;
    }
    return true;
}

static bool write_rounds(const char *path, int peer) {
    rhumb_index *index = NULL;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = DIM;
    if (!ok(rhumb_index_create(path, &options, &index))) return false;
    bool well = pass(peer) && await(peer); /* the reader has opened the empty index */
    for (uint64_t round = 0; well && round < ROUND_COUNT; round++) {
        well = insert(index, round * STEP) && pass(peer) && await(peer); /* durable in the log, but not published */
        well = well && ok(rhumb_index_checkpoint(index)) && pass(peer) && await(peer);
    }
    return ok(rhumb_index_close(index)) && well;
}

/* Moves the handle to the newest checkpoint, and prints what it shows. */
static bool look(rhumb_index *index, const char *when) {
    bool changed = false;
    if (!ok(rhumb_index_refresh(index, &changed))) return false;
    printf("%s: %s, %llu vectors\n", when, changed ? "a newer checkpoint" : "nothing new",
           (unsigned long long)rhumb_index_count(index));
    return true;
}

static bool read_rounds(const char *path, int peer) {
    rhumb_index *index = NULL;
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    if (!await(peer) || !ok(rhumb_index_open(path, &options, &index))) return false;
    bool well = pass(peer);
    for (int round = 0; well && round < ROUND_COUNT; round++) {
        well = await(peer) && look(index, "after inserts     ") && pass(peer);
        well = well && await(peer) && look(index, "after a checkpoint") && pass(peer);
    }
    return ok(rhumb_index_close(index)) && well;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "shared.rhumb";
    int ends[2];
    const pid_t reader = socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 ? fork() : -1;
    if (reader < 0) {
        perror("starting a reader");
        return 1;
    }
    close(ends[reader == 0 ? 0 : 1]);
    if (reader == 0) return read_rounds(path, ends[1]) ? 0 : 1;
    const bool well = write_rounds(path, ends[0]);
    close(ends[0]);
    int result = 1;
    waitpid(reader, &result, 0);
    return well && result == 0 ? 0 : 1;
}
