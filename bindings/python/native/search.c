/* search.c - methods of Handle that search. Answers are written to arrays of the caller's. */
#include "native.h"

/* What the methods that search for one vector share. */
typedef struct one_search {
    Py_buffer keys;
    Py_buffer distances;
    size_t k;
    rhumb_search_options options;
    native_filters filters;
    native_call call;
} one_search;

static void release(one_search *search) {
    native_filters_release(&search->filters);
    if (search->distances.obj != NULL) PyBuffer_Release(&search->distances);
    if (search->keys.obj != NULL) PyBuffer_Release(&search->keys);
}

/* Takes ef, a filter or None, and two arrays, of which that of the keys says how many there are to be. */
static bool take(one_search *search, uint32_t ef, PyObject *filter, PyObject *keys, PyObject *distances) {
    *search = (one_search){0};
    rhumb_search_options_init(&search->options, sizeof search->options);
    search->options.ef_search = ef;
    if (!native_output_take(&search->keys, keys, 0, sizeof(uint64_t), "keys")) return false;
    search->k = (size_t)search->keys.len / sizeof(uint64_t);
    if (native_output_take(&search->distances, distances, search->k, sizeof(float), "distances")) {
        if (filter == Py_None) return true;
        if (native_filters_take(&search->filters, filter, &search->call, 1)) {
            native_filters_set(&search->filters, &search->options);
            return true;
        }
    }
    release(search);
    return false;
}

/* How many were found, or NULL with the exception of what failed; `index` is NULL if that came first. */
static PyObject *finish(one_search *search, const rhumb_index *index, rhumb_status status, size_t found_count) {
    release(search);
    if (index == NULL) return NULL;
    return native_call_end(&search->call, status, NATIVE_KEY) ? PyLong_FromSize_t(found_count) : NULL;
}

/* One vector of a method that takes exactly one. */
static bool vector_take(native_vectors *vectors, handle *self, PyObject *object) {
    if (!native_vectors_take(vectors, self, object)) return false;
    if (vectors->count == 1) return true;
    PyErr_Format(PyExc_ValueError, "one vector expected, found %zu", vectors->count);
    native_vectors_release(vectors);
    return false;
}

/* search_one(vector, ef, filter, keys, distances) -> how many were found; k is the length of keys. The shortest way,
 * for programs that ask for one vector at a time. */
PyObject *handle_search_one(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    handle *self = (handle *)object;
    native_vectors query;
    one_search search;
    size_t found_count = 0;
    rhumb_status status = RHUMB_OK;
    if (count != 5) {
        PyErr_Format(PyExc_TypeError, "search_one takes 5 arguments, found %zd", count);
        return NULL;
    }
    const unsigned long ef = PyLong_AsUnsignedLong(args[1]);
    if (PyErr_Occurred()) return NULL;
    if (!vector_take(&query, self, args[0])) return NULL;
    if (!take(&search, ef > UINT32_MAX ? UINT32_MAX : (uint32_t)ef, args[2], args[3], args[4])) {
        native_vectors_release(&query);
        return NULL;
    }
    search.call = native_call_begin(self, NULL);
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_search(index, query.start, search.k, &search.options, search.keys.buf,
                                    search.distances.buf, &found_count);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    native_vectors_release(&query);
    return finish(&search, index, status, found_count);
}

/* search_like(key, ef, filter, keys, distances) -> how many were found */
PyObject *handle_search_like(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    uint64_t key = 0;
    unsigned ef = 0;
    PyObject *filter = NULL;
    PyObject *keys = NULL;
    PyObject *distances = NULL;
    one_search search;
    size_t found_count = 0;
    rhumb_status status = RHUMB_OK;
    if (!PyArg_ParseTuple(args, "O&IOOO", native_key_convert, &key, &ef, &filter, &keys, &distances)) return NULL;
    if (!take(&search, ef, filter, keys, distances)) return NULL;
    search.call = native_call_begin(self, NULL);
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_search_like(index, key, search.k, &search.options, search.keys.buf, search.distances.buf,
                                         &found_count);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    return finish(&search, index, status, found_count);
}

/* search_radius(vector, radius, ef, filter, keys, distances) -> how many were found */
PyObject *handle_search_radius(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    PyObject *vector = NULL;
    float radius = 0;
    unsigned ef = 0;
    PyObject *filter = NULL;
    PyObject *keys = NULL;
    PyObject *distances = NULL;
    native_vectors query;
    one_search search;
    size_t found_count = 0;
    rhumb_status status = RHUMB_OK;
    if (!PyArg_ParseTuple(args, "OfIOOO", &vector, &radius, &ef, &filter, &keys, &distances)) return NULL;
    if (!vector_take(&query, self, vector)) return NULL;
    if (!take(&search, ef, filter, keys, distances)) {
        native_vectors_release(&query);
        return NULL;
    }
    search.call = native_call_begin(self, NULL);
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_search_radius(index, query.start, radius, search.k, &search.options, search.keys.buf,
                                           search.distances.buf, &found_count);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    native_vectors_release(&query);
    return finish(&search, index, status, found_count);
}

/* ---- many queries ----------------------------------------------------------------------------------------------------------- */

typedef struct batch_search {
    native_vectors queries;
    size_t k;
    bool exact;
    Py_buffer keys;
    Py_buffer distances;
    Py_buffer counts;
    rhumb_search_options options;
    native_filters filters;
    native_call call;
} batch_search;

static void batch_release(batch_search *search) {
    native_filters_release(&search->filters);
    if (search->counts.obj != NULL) PyBuffer_Release(&search->counts);
    if (search->distances.obj != NULL) PyBuffer_Release(&search->distances);
    if (search->keys.obj != NULL) PyBuffer_Release(&search->keys);
    native_vectors_release(&search->queries);
}

static bool batch_take(batch_search *search, handle *self, PyObject *args) {
    PyObject *queries = NULL;
    PyObject *filter = NULL;
    PyObject *arrays[3];
    PyObject *progress = NULL;
    Py_ssize_t k = 0;
    unsigned ef = 0;
    unsigned threads = 0;
    int exact = 0;
    *search = (batch_search){0};
    if (!PyArg_ParseTuple(args, "OnIIOpOOOO", &queries, &k, &ef, &threads, &filter, &exact, &arrays[0], &arrays[1],
                          &arrays[2], &progress)) {
        return false;
    }
    if (!native_vectors_take(&search->queries, self, queries)) return false;
    const size_t count = search->queries.count;
    search->k = k < 0 ? 0 : (size_t)k;
    search->exact = exact != 0;
    search->call = native_call_begin(self, progress);
    rhumb_search_options_init(&search->options, sizeof search->options);
    search->options.ef_search = ef;
    search->options.thread_count = threads;
    search->options.progress = native_call_report;
    search->options.progress_context = &search->call;
    if (count > 0 && search->k > PY_SSIZE_T_MAX / sizeof(uint64_t) / count) {
        PyErr_NoMemory();
    } else if (native_output_take(&search->keys, arrays[0], count * search->k, sizeof(uint64_t), "keys") &&
               native_output_take(&search->distances, arrays[1], count * search->k, sizeof(float), "distances") &&
               native_output_take(&search->counts, arrays[2], count, sizeof(size_t), "counts") &&
               native_filters_take(&search->filters, filter, &search->call, count)) {
        native_filters_set(&search->filters, &search->options);
        return true;
    }
    batch_release(search);
    return false;
}

/* search(vectors, k, ef, threads, filter or list of filters, exact, keys, distances, counts, progress) */
PyObject *handle_search(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    batch_search search;
    rhumb_status status = RHUMB_OK;
    if (!batch_take(&search, self, args)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        const native_vectors *queries = &search.queries;
        status = (search.exact ? rhumb_index_search_exact : rhumb_index_search_batch)(
            index, queries->start, queries->count, search.k, &search.options, search.keys.buf, search.distances.buf,
            search.counts.buf);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    batch_release(&search);
    if (index == NULL || !native_call_end(&search.call, status, NATIVE_KEY)) return NULL;
    Py_RETURN_NONE;
}
