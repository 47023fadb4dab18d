/* native.h - what the files of the extension module rhumb._native share.
 *
 * The module is written for the Limited API of CPython 3.11, so that one binary serves all later versions; a
 * free-threaded CPython has no Limited API before 3.15, and is given RHUMB_PYTHON_FULL_API instead. Arrays come and go
 * as buffers: neither numpy's headers nor its version matter. Shapes, element types and defaults are the business of
 * the Python code in ../rhumb, which calls this module with positional arguments. What is checked here is what would
 * otherwise crash: the size of each buffer, and the life of each handle.
 *
 * The GIL is released around every call to the library that can take time.
 */
#ifndef RHUMB_PYTHON_NATIVE_H
#define RHUMB_PYTHON_NATIVE_H

#define PY_SSIZE_T_CLEAN
#ifndef RHUMB_PYTHON_FULL_API
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "rhumb.h"

/* ---- errors.c: statuses as exceptions ---------------------------------------------------------------------------- */

/* What RHUMB_E_NOTFOUND and RHUMB_E_EXISTS are about. */
typedef enum native_subject { NATIVE_KEY, NATIVE_FILE } native_subject;

/* Raises the exception of the calling thread's last failure. Returns NULL. */
PyObject *native_raise(rhumb_status status, native_subject subject);

/* Raises one of our own: `name` is that of a status, or NATIVE_CLOSED. */
PyObject *native_raise_text(const char *name, const char *message);
#define NATIVE_CLOSED "CLOSED"

/* ---- call.c: what happens during a call without the GIL ----------------------------------------------------------- */

struct handle;

/* What a call is, as far as the functions in it are concerned. */
typedef enum native_kind {
    NATIVE_READS = 0, /* a search, or upkeep */
    NATIVE_WRITES,    /* a batch of changes */
    NATIVE_VERIFIES   /* a verification, which changes wait for */
} native_kind;

/* Which calls a method waits for. */
typedef enum native_wait {
    NATIVE_WAITS_FOR_ALL,
    NATIVE_WAITS_FOR_READS, /* all but batches of changes */
    NATIVE_WAITS_FOR_VERIFY
} native_wait;

/* One call: its progress function, and the first exception that a function of the caller's, or Ctrl-C, has raised. */
typedef struct native_call {
    PyObject *progress; /* a function, or NULL; borrowed */
    PyObject *type;     /* the exception, or NULL */
    PyObject *value;
    PyObject *trace;
    const struct handle *handle;     /* whose call it is; NULL: of no open index */
    const struct native_call *outer; /* the call whose function made this one, or NULL; on whatever thread it runs */
    uint64_t owner;                  /* what it belongs to: see call_within; 0: nothing */
    native_kind kind;
} native_call;

/* A call that begins on this thread. `self` and `progress` may be NULL; None counts as NULL. */
native_call native_call_begin(const struct handle *self, PyObject *progress);

/* Calls a function of the caller's on behalf of a call. Returns its answer, or NULL with its exception. With the GIL. */
PyObject *native_call_function(const native_call *call, PyObject *function, PyObject *args);

/* Returns true, with a RuntimeError that names `method`, if this thread runs a function of a call of the handle that the
 * method waits for, so that it would wait for itself. */
bool native_refuse_inside(const struct handle *self, const char *method, native_wait wait);

PyObject *native_call_within(PyObject *module, PyObject *args);
PyObject *native_within(PyObject *module, PyObject *args);

/* A rhumb_progress_fn whose context is a native_call: runs signal handlers and the progress function. */
bool native_call_report(void *context, uint64_t done_count, uint64_t total_count);

/* Keeps the current exception, unless one is kept already. With the GIL. */
void native_call_catch(native_call *call);

/* Raises what was kept, or else the failure of `status`. Returns whether the call succeeded. With the GIL. */
bool native_call_end(native_call *call, rhumb_status status, native_subject subject);

/* ---- fields.c: structs of the interface --------------------------------------------------------------------------- */

typedef enum native_struct {
    NATIVE_STATS,
    NATIVE_OPTIONS,
    NATIVE_INFO,
    NATIVE_SECTION,
    NATIVE_VERIFY_REPORT,
    NATIVE_WRITE_REPORT,
    NATIVE_COMPACT_REPORT,
    NATIVE_MERGE_REPORT,
    NATIVE_REPAIR_REPORT,
    NATIVE_TOPOLOGY_STATS,
    NATIVE_IMPORT_REPORT,
    NATIVE_RECALL_CURVE,
    NATIVE_RESULT_COUNT, /* those before are filled by the library, and become named tuples */
    NATIVE_OPEN_OPTIONS = NATIVE_RESULT_COUNT,
    NATIVE_COMPACT_OPTIONS,
    NATIVE_MERGE_OPTIONS,
    NATIVE_IMPORT_OPTIONS,
    NATIVE_EXPORT_OPTIONS,
    NATIVE_STRUCT_COUNT
} native_struct;

/* Makes the types of named tuples and adds them to the module. */
int native_fields_init(PyObject *module);

/* A named tuple of a struct. */
PyObject *native_fields_give(native_struct kind, const void *source);

/* Sets the fields of a struct that a dict names. Returns -1 with an exception for an unknown name. `kind` is that of
 * options. Texts stay those of the dict's values. */
int native_fields_take(native_struct kind, PyObject *dict, void *target);

/* ---- buffers.c: arguments ------------------------------------------------------------------------------------------ */

/* Vectors of a caller: `count` of them, one after the other. */
typedef struct native_vectors {
    Py_buffer elements; /* obj is NULL if there is none */
    Py_buffer lengths;  /* of sequences: an u32 each */
    rhumb_sequence *sequences;
    const void *start;
    size_t count;
} native_vectors;

/* Takes vectors: a buffer, or under levenshtein a tuple of two buffers, of elements and of lengths. */
bool native_vectors_take(native_vectors *vectors, const struct handle *handle, PyObject *object);
void native_vectors_release(native_vectors *vectors);

/* Takes a buffer to read, of numbers of `item_bytes`. */
bool native_input_take(Py_buffer *buffer, PyObject *object, size_t item_bytes, const char *name);

/* Takes a buffer to write to, with room for `count` numbers of `item_bytes`; None leaves buf NULL. */
bool native_output_take(Py_buffer *buffer, PyObject *object, size_t count, size_t item_bytes, const char *name);

/* A converter for PyArg_ParseTuple: a key. */
int native_key_convert(PyObject *object, void *key);

/* ---- filter.c ------------------------------------------------------------------------------------------------------ */

/* The filters of one call. */
typedef struct native_filters {
    struct filter_use *uses;
    const rhumb_filter **pointers; /* one per query, or NULL: the first use is for all */
    size_t count;
} native_filters;

/* Takes None, a Filter, or a list of them and None, one per query. */
bool native_filters_take(native_filters *filters, PyObject *object, native_call *call, size_t query_count);
void native_filters_set(const native_filters *filters, rhumb_search_options *options);
void native_filters_release(native_filters *filters);
int native_filters_traverse(const native_filters *filters, visitproc visit, void *arg);

/* ---- memory.c: memory of the library as a buffer -------------------------------------------------------------------- */

/* Read-only memory that belongs to `owner` (may be NULL), and to a lease (may be NULL), which it releases. */
PyObject *native_memory_new(const void *start, size_t bytes, PyObject *owner, rhumb_lease *lease);

/* ---- handle.c: an open index ----------------------------------------------------------------------------------------- */

struct iterator;

typedef struct handle {
    PyObject_HEAD pthread_mutex_t lock; /* guards what changes and is not atomic, on builds without the GIL too */
    pthread_cond_t idle;                /* call_count has become 0 while closing */
    rhumb_index *index;                 /* NULL: closed */
    atomic_uint call_count;             /* calls that use `index`, or are about to see whether they may */
    unsigned fork_generation;           /* that `index` was opened in */
    PyObject *path;                     /* bytes */
    PyObject *open_values;              /* the dict of how it was opened */
    PyObject *kept;                     /* what its custom metric needs */
    atomic_bool closing;                /* no call may begin */
    bool read_only;
    uint64_t owner;             /* a number for what the handle is a part of, see call_within; 0: nothing */
    bool sequences;             /* vectors are sequences */
    size_t element_bytes;       /* of sequences */
    size_t vector_bytes;        /* of others */
    uint8_t uuid[16];           /* of the index */
    struct iterator *iterators; /* those that are open */
} handle;

/* Begins a call: returns the index, or NULL with an exception if it is closed or belongs to a parent process. A
 * read-only index is opened again in a child. */
rhumb_index *native_enter(handle *self);
void native_leave(handle *self);

extern unsigned native_fork_generation;

PyObject *native_create(PyObject *module, PyObject *args);
PyObject *native_open(PyObject *module, PyObject *args);

/* Methods of Handle that are in files of their own. */
PyObject *handle_insert(PyObject *self, PyObject *args);
PyObject *handle_upsert(PyObject *self, PyObject *args);
PyObject *handle_delete(PyObject *self, PyObject *args);
PyObject *handle_search_one(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *handle_search(PyObject *self, PyObject *args);
PyObject *handle_search_like(PyObject *self, PyObject *args);
PyObject *handle_search_radius(PyObject *self, PyObject *args);
PyObject *handle_iterate(PyObject *self, PyObject *args);
PyObject *handle_contains(PyObject *self, PyObject *args);
PyObject *handle_get(PyObject *self, PyObject *args);
PyObject *handle_get_sequence(PyObject *self, PyObject *args);
PyObject *handle_view(PyObject *self, PyObject *args);
PyObject *handle_level(PyObject *self, PyObject *args);
PyObject *handle_neighbours(PyObject *self, PyObject *args);
PyObject *handle_keys(PyObject *self, PyObject *args);
PyObject *handle_recall_measure(PyObject *self, PyObject *args);
PyObject *handle_recall_curve(PyObject *self, PyObject *unused);
PyObject *handle_recall_ef(PyObject *self, PyObject *args);
PyObject *handle_verify(PyObject *self, PyObject *args);
PyObject *handle_compact(PyObject *self, PyObject *args);
PyObject *handle_export_topology(PyObject *self, PyObject *args);
PyObject *handle_export(PyObject *self, PyObject *args);
PyObject *handle_wait_epoch(PyObject *self, PyObject *args);

/* iterator.c: closes those of a handle that is being closed. With the handle's lock. */
void native_iterators_close(handle *self);

/* Functions of the module that are about files. */
PyObject *native_info(PyObject *module, PyObject *args);
PyObject *native_sections(PyObject *module, PyObject *args);
PyObject *native_compact_into(PyObject *module, PyObject *args);
PyObject *native_merge(PyObject *module, PyObject *args);
PyObject *native_repair(PyObject *module, PyObject *args);
PyObject *native_import_index(PyObject *module, PyObject *args);
PyObject *native_topology_open(PyObject *module, PyObject *args);

/* Specifications of the types, and the types once they are made. */
extern PyType_Spec native_handle_spec, native_filter_spec, native_memory_spec, native_iterator_spec,
    native_topology_spec;
extern PyObject *native_handle_type, *native_filter_type, *native_memory_type, *native_iterator_type,
    *native_topology_type;

#endif /* RHUMB_PYTHON_NATIVE_H */
