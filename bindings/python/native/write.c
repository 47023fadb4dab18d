/* write.c - methods of Handle that change an index: batches of inserts, upserts and deletes. */
#include "native.h"

typedef struct write_arguments {
    Py_buffer keys; /* obj is NULL: none were given */
    native_vectors vectors;
    size_t count;
    rhumb_batch_options options;
    native_call call;
} write_arguments;

static void release(write_arguments *arguments) {
    if (arguments->keys.obj != NULL) PyBuffer_Release(&arguments->keys);
    native_vectors_release(&arguments->vectors);
}

/* Takes (keys, vectors, threads, partial, progress); `vectors` may be NULL. */
static bool take(write_arguments *arguments, const handle *self, PyObject *keys, PyObject *vectors) {
    if (!native_input_take(&arguments->keys, keys, sizeof(uint64_t), "keys")) return false;
    arguments->count = (size_t)arguments->keys.len / sizeof(uint64_t);
    if (vectors == NULL) return true;
    if (native_vectors_take(&arguments->vectors, self, vectors)) {
        if (arguments->vectors.count == arguments->count) return true;
        PyErr_Format(PyExc_ValueError, "%zu keys for %zu vectors", arguments->count, arguments->vectors.count);
    }
    release(arguments);
    return false;
}

static bool parse(write_arguments *arguments, PyObject *object, PyObject *args, bool with_vectors) {
    PyObject *keys = NULL;
    PyObject *vectors = NULL;
    PyObject *progress = NULL;
    unsigned threads = 0;
    int partial = 0;
    *arguments = (write_arguments){0};
    if (native_refuse_inside((handle *)object, "a change", NATIVE_WAITS_FOR_VERIFY)) return false;
    if (with_vectors ? !PyArg_ParseTuple(args, "OOIpO", &keys, &vectors, &threads, &partial, &progress)
                     : !PyArg_ParseTuple(args, "OIpO", &keys, &threads, &partial, &progress)) {
        return false;
    }
    if (!take(arguments, (handle *)object, keys, vectors)) return false;
    arguments->call = native_call_begin((handle *)object, progress);
    arguments->call.kind = NATIVE_WRITES;
    rhumb_batch_options_init(&arguments->options, sizeof arguments->options);
    arguments->options.thread_count = threads;
    arguments->options.partial = partial != 0;
    arguments->options.progress = native_call_report;
    arguments->options.progress_context = &arguments->call;
    return true;
}

/* insert(keys, vectors, threads, partial, progress) -> how many were inserted */
PyObject *handle_insert(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    write_arguments arguments;
    size_t inserted_count = 0;
    rhumb_status status = RHUMB_OK;
    if (!parse(&arguments, object, args, true)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        if (arguments.count == 1 && arguments.call.progress == NULL) {
            status = rhumb_index_insert(index, *(const uint64_t *)arguments.keys.buf, arguments.vectors.start);
            inserted_count = status == RHUMB_OK;
        } else {
            status = rhumb_index_insert_batch(index, arguments.keys.buf, arguments.vectors.start, arguments.count,
                                              &arguments.options, &inserted_count);
        }
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    release(&arguments);
    if (index == NULL || !native_call_end(&arguments.call, status, NATIVE_KEY)) return NULL;
    return PyLong_FromSize_t(inserted_count);
}

/* upsert(keys, vectors, threads, partial, progress) -> WriteReport */
PyObject *handle_upsert(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    write_arguments arguments;
    rhumb_write_report report = {0};
    rhumb_status status = RHUMB_OK;
    if (!parse(&arguments, object, args, true)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_upsert_batch(index, arguments.keys.buf, arguments.vectors.start, arguments.count,
                                          &arguments.options, &report, sizeof report);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    release(&arguments);
    if (index == NULL || !native_call_end(&arguments.call, status, NATIVE_KEY)) return NULL;
    return native_fields_give(NATIVE_WRITE_REPORT, &report);
}

/* delete(keys, threads, partial, progress) -> WriteReport */
PyObject *handle_delete(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    write_arguments arguments;
    rhumb_write_report report = {0};
    rhumb_status status = RHUMB_OK;
    if (!parse(&arguments, object, args, false)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_delete_batch(index, arguments.keys.buf, arguments.count, &arguments.options, &report,
                                          sizeof report);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    release(&arguments);
    if (index == NULL || !native_call_end(&arguments.call, status, NATIVE_KEY)) return NULL;
    return native_fields_give(NATIVE_WRITE_REPORT, &report);
}
