/* handle.c - the type Handle: an open index, its life, and what takes no array.
 *
 * A handle is used by many threads at once and closed by one of them. Each call counts itself in and out; closing waits
 * until none is left, so a call never works on an index that is gone. A call counts itself before it looks whether the
 * handle is being closed, and closing says so before it looks at the count, both in one order of all threads
 * (sequential consistency): one of them sees the other. The pointer changes only when no call is left. The handle's
 * lock is for closing and for the list of iterators; it is never held while the library works.
 *
 * A forked child has the object, but not the index: the library refuses the parent's handle. A read-only index is opened
 * again by the first call in the child; one that writes stays refused, as the parent writes it.
 */
#include <stddef.h>

#include "native.h"

PyObject *native_handle_type;
unsigned native_fork_generation;

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

/* Learns what the methods have to know about the index. */
static bool describe(handle *self) {
    rhumb_index_options options;
    rhumb_index_stats stats; /* filled up to the uuid, which takes no time */
    rhumb_status status = rhumb_index_options_get(self->index, &options, sizeof options);
    if (status == RHUMB_OK) {
        status = rhumb_index_stats_get(self->index, &stats, offsetof(rhumb_index_stats, created_unix_ns));
    }
    if (status != RHUMB_OK) {
        native_raise(status, NATIVE_FILE);
        return false;
    }
    const size_t bits = rhumb_element_bits(options.element);
    self->element_bytes = bits / 8;
    self->vector_bytes = (options.dim * bits + 7) / 8;
    self->sequences = options.metric == RHUMB_METRIC_LEVENSHTEIN;
    memcpy(self->uuid, stats.uuid, sizeof self->uuid);
    return true;
}

static handle *handle_alloc(PyObject *path, PyObject *open_values, PyObject *kept) {
    handle *self = (handle *)PyType_GenericAlloc((PyTypeObject *)native_handle_type, 0);
    if (self == NULL) return NULL;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->idle, NULL);
    self->fork_generation = native_fork_generation;
    self->path = Py_NewRef(path);
    self->open_values = Py_NewRef(open_values);
    self->kept = Py_NewRef(kept);
    return self;
}

/* Opens the file of a handle that has no index. */
static rhumb_status open_index(handle *self, const rhumb_open_options *options) {
    const char *path = PyBytes_AsString(self->path);
    rhumb_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_open(path, options, &self->index);
    Py_END_ALLOW_THREADS;
    return status;
}

/* open(path, open_options, kept) */
PyObject *native_open(PyObject *module, PyObject *args) {
    PyObject *path = NULL;
    PyObject *values = NULL;
    PyObject *kept = NULL;
    rhumb_open_options options;
    (void)module;
    if (!PyArg_ParseTuple(args, "SOO", &path, &values, &kept)) return NULL;
    rhumb_open_options_init(&options, sizeof options);
    if (native_fields_take(NATIVE_OPEN_OPTIONS, values, &options) != 0) return NULL;
    handle *self = handle_alloc(path, values, kept);
    if (self == NULL) return NULL;
    self->read_only = options.read_only || options.graph_only || options.immutable;
    const rhumb_status status = open_index(self, &options);
    if (status != RHUMB_OK) native_raise(status, NATIVE_FILE);
    if (status != RHUMB_OK || !describe(self)) Py_CLEAR(self);
    return (PyObject *)self;
}

/* create(path, index_options, open_options, kept) */
PyObject *native_create(PyObject *module, PyObject *args) {
    PyObject *path = NULL;
    PyObject *values = NULL;
    PyObject *open_values = NULL;
    PyObject *kept = NULL;
    rhumb_index_options options;
    rhumb_open_options open_options;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "SOOO", &path, &values, &open_values, &kept)) return NULL;
    rhumb_index_options_init(&options, sizeof options);
    rhumb_open_options_init(&open_options, sizeof open_options);
    if (native_fields_take(NATIVE_OPTIONS, values, &options) != 0) return NULL;
    if (native_fields_take(NATIVE_OPEN_OPTIONS, open_values, &open_options) != 0) return NULL;
    options.open = &open_options;
    handle *self = handle_alloc(path, open_values, kept);
    if (self == NULL) return NULL;
    const char *name = PyBytes_AsString(path);
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_create(name, &options, &self->index);
    Py_END_ALLOW_THREADS;
    if (status != RHUMB_OK) native_raise(status, NATIVE_FILE);
    if (status != RHUMB_OK || !describe(self)) Py_CLEAR(self);
    return (PyObject *)self;
}

/* ---- calls, forks, closing ------------------------------------------------------------------------------------------------ */

/* The first call in a forked child. No other thread of the parent is here, so a lock that one of them held is made
 * again. */
static bool follow_fork(handle *self) {
    uint8_t uuid[16];
    rhumb_open_options options;
    if (self->index == NULL) return true;
    if (!self->read_only) {
        native_raise_text("RHUMB_E_FORKED", "the index is open for writing in a process that this one was forked from: "
                                            "open it here, read-only while the parent has it");
        return false;
    }
    rhumb_open_options_init(&options, sizeof options);
    if (native_fields_take(NATIVE_OPEN_OPTIONS, self->open_values, &options) != 0) return false;
    memcpy(uuid, self->uuid, sizeof uuid);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->idle, NULL);
    atomic_store(&self->call_count, 0);
    native_iterators_close(self);
    rhumb_index_close(self->index); /* refused, but releases its memory */
    self->index = NULL;
    const rhumb_status status = open_index(self, &options);
    if (status != RHUMB_OK) {
        native_raise(status, NATIVE_FILE);
        return false;
    }
    self->fork_generation = native_fork_generation;
    if (!describe(self)) return false;
    if (memcmp(uuid, self->uuid, sizeof uuid) == 0) return true;
    native_raise_text("RHUMB_E_FORKED", "another index is at the path now");
    return false;
}

rhumb_index *native_enter(handle *self) {
    if (self->fork_generation != native_fork_generation && !follow_fork(self)) return NULL;
    atomic_fetch_add(&self->call_count, 1);
    rhumb_index *index = atomic_load(&self->closing) ? NULL : self->index;
    if (index == NULL) {
        native_leave(self);
        native_raise_text(NATIVE_CLOSED, "the index is closed");
    }
    return index;
}

void native_leave(handle *self) {
    if (atomic_fetch_sub(&self->call_count, 1) > 1 || !atomic_load(&self->closing)) return;
    pthread_mutex_lock(&self->lock);
    pthread_cond_broadcast(&self->idle);
    pthread_mutex_unlock(&self->lock);
}

/* Waits for the calls that are running, and takes the index from the handle. NULL: it is closed. Without the GIL. */
static rhumb_index *take_index(handle *self) {
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->closing, true);
    while (atomic_load(&self->call_count) > 0) pthread_cond_wait(&self->idle, &self->lock);
    rhumb_index *index = self->index;
    self->index = NULL;
    native_iterators_close(self);
    pthread_mutex_unlock(&self->lock);
    return index;
}

static PyObject *handle_close(PyObject *object, PyObject *unused) {
    handle *self = (handle *)object;
    rhumb_status status = RHUMB_OK;
    (void)unused;
    if (native_refuse_inside(self, "close()", NATIVE_WAITS_FOR_ALL)) return NULL;
    if (self->fork_generation != native_fork_generation) {
        native_iterators_close(self);
        rhumb_index_close(self->index);
        self->index = NULL;
        Py_RETURN_NONE;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_close(take_index(self));
    Py_END_ALLOW_THREADS;
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    Py_RETURN_NONE;
}

static void handle_dealloc(PyObject *object) {
    handle *self = (handle *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        rhumb_index_close(self->index); /* what had returned is in the log */
        Py_END_ALLOW_THREADS;
    }
    pthread_cond_destroy(&self->idle);
    pthread_mutex_destroy(&self->lock);
    Py_XDECREF(self->path);
    Py_XDECREF(self->open_values);
    Py_XDECREF(self->kept);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static int handle_traverse(PyObject *object, visitproc visit, void *arg) {
    const handle *self = (const handle *)object;
    Py_VISIT(self->open_values);
    Py_VISIT(self->kept);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

/* ---- durability ------------------------------------------------------------------------------------------------------------ */

static PyObject *simple_call(PyObject *object, rhumb_status (*function)(rhumb_index *index)) {
    handle *self = (handle *)object;
    rhumb_index *index = native_enter(self);
    rhumb_status status;
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = function(index);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    Py_RETURN_NONE;
}

/* Whether a sync makes a checkpoint, as there is no log. */
static bool has_no_log(handle *self) {
    PyObject *mode = PyDict_GetItemString(self->open_values, "durability"); /* borrowed */
    return mode != NULL && PyUnicode_Check(mode) && PyUnicode_CompareWithASCIIString(mode, "none") == 0;
}

static PyObject *handle_sync(PyObject *self, PyObject *unused) {
    (void)unused;
    if (has_no_log((handle *)self) && native_refuse_inside((handle *)self, "sync()", NATIVE_WAITS_FOR_READS))
        return NULL;
    return simple_call(self, rhumb_index_sync);
}

static PyObject *handle_checkpoint(PyObject *self, PyObject *unused) {
    (void)unused;
    if (native_refuse_inside((handle *)self, "checkpoint()", NATIVE_WAITS_FOR_READS)) return NULL;
    return simple_call(self, rhumb_index_checkpoint);
}

static PyObject *handle_wait_idle(PyObject *self, PyObject *unused) {
    (void)unused;
    if (native_refuse_inside((handle *)self, "wait_idle()", NATIVE_WAITS_FOR_READS)) return NULL;
    return simple_call(self, rhumb_index_wait_idle);
}

static PyObject *handle_hot_pages_save(PyObject *self, PyObject *unused) {
    (void)unused;
    return simple_call(self, rhumb_index_hot_pages_save);
}

static PyObject *handle_compact_cancel(PyObject *self, PyObject *unused) {
    (void)unused;
    return simple_call(self, rhumb_index_compact_cancel);
}

static PyObject *handle_refresh(PyObject *object, PyObject *unused) {
    handle *self = (handle *)object;
    bool changed = false;
    rhumb_status status;
    (void)unused;
    if (native_refuse_inside(self, "refresh()", NATIVE_WAITS_FOR_READS)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_refresh(index, &changed);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    return status == RHUMB_OK ? PyBool_FromLong(changed) : native_raise(status, NATIVE_FILE);
}

static PyObject *number_of(PyObject *object, uint64_t (*function)(const rhumb_index *index)) {
    handle *self = (handle *)object;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    const uint64_t number = function(index);
    native_leave(self);
    return PyLong_FromUnsignedLongLong(number);
}

static PyObject *handle_count(PyObject *self, PyObject *unused) {
    (void)unused;
    return number_of(self, rhumb_index_count);
}

static PyObject *handle_lsn(PyObject *self, PyObject *unused) {
    (void)unused;
    return number_of(self, rhumb_index_lsn);
}

static PyObject *handle_durable_lsn(PyObject *self, PyObject *unused) {
    (void)unused;
    return number_of(self, rhumb_index_durable_lsn);
}

/* ---- what an index reports ------------------------------------------------------------------------------------------------ */

static PyObject *handle_stats(PyObject *object, PyObject *unused) {
    handle *self = (handle *)object;
    rhumb_index *index = native_enter(self);
    rhumb_index_stats stats;
    rhumb_status status;
    (void)unused;
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_stats_get(index, &stats, sizeof stats);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    return status == RHUMB_OK ? native_fields_give(NATIVE_STATS, &stats) : native_raise(status, NATIVE_FILE);
}

static PyObject *handle_options(PyObject *object, PyObject *unused) {
    handle *self = (handle *)object;
    rhumb_index *index = native_enter(self);
    rhumb_index_options options;
    (void)unused;
    if (index == NULL) return NULL;
    const rhumb_status status = rhumb_index_options_get(index, &options, sizeof options);
    native_leave(self);
    return status == RHUMB_OK ? native_fields_give(NATIVE_OPTIONS, &options) : native_raise(status, NATIVE_FILE);
}

static PyObject *handle_metadata_get(PyObject *object, PyObject *unused) {
    handle *self = (handle *)object;
    rhumb_index *index = native_enter(self);
    char bytes[RHUMB_METADATA_BYTES_MAX];
    size_t bytes_count = 0;
    (void)unused;
    if (index == NULL) return NULL;
    const rhumb_status status = rhumb_index_metadata_get(index, bytes, sizeof bytes, &bytes_count);
    native_leave(self);
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)bytes_count);
}

static PyObject *handle_metadata_set(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    Py_buffer bytes;
    rhumb_status status = RHUMB_OK;
    if (native_refuse_inside(self, "setting metadata", NATIVE_WAITS_FOR_READS)) return NULL;
    if (!PyArg_ParseTuple(args, "y*", &bytes)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_metadata_set(index, bytes.buf, (size_t)bytes.len);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    PyBuffer_Release(&bytes);
    if (index == NULL) return NULL;
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    Py_RETURN_NONE;
}

/* closed() -> bool: whether no call can succeed any more. */
static PyObject *handle_closed(PyObject *object, PyObject *unused) {
    const handle *self = (const handle *)object;
    (void)unused;
    return PyBool_FromLong(self->index == NULL || self->closing);
}

/* read_only() -> bool */
static PyObject *handle_read_only(PyObject *object, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((handle *)object)->read_only);
}

/* uuid() -> bytes of the index, also after it has been closed. */
static PyObject *handle_uuid(PyObject *object, PyObject *unused) {
    (void)unused;
    return PyBytes_FromStringAndSize((const char *)((handle *)object)->uuid, 16);
}

/* owner_set(owner): a number for what the handle is a part of, see call_within. Before other threads have the handle. */
static PyObject *handle_owner_set(PyObject *object, PyObject *args) {
    unsigned long long owner = 0;
    if (!PyArg_ParseTuple(args, "K", &owner)) return NULL;
    ((handle *)object)->owner = owner;
    Py_RETURN_NONE;
}

/* opening() -> the dict of options that it was opened with */
static PyObject *handle_opening(PyObject *object, PyObject *unused) {
    (void)unused;
    return PyDict_Copy(((handle *)object)->open_values);
}

/* ---- the type ----------------------------------------------------------------------------------------------------------------- */

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef handle_methods[] = {
    {"close", handle_close, METH_NOARGS, NULL},
    {"closed", handle_closed, METH_NOARGS, NULL},
    {"read_only", handle_read_only, METH_NOARGS, NULL},
    {"uuid", handle_uuid, METH_NOARGS, NULL},
    {"opening", handle_opening, METH_NOARGS, NULL},
    {"owner_set", handle_owner_set, METH_VARARGS, NULL},
    {"insert", handle_insert, METH_VARARGS, NULL},
    {"upsert", handle_upsert, METH_VARARGS, NULL},
    {"delete", handle_delete, METH_VARARGS, NULL},
    {"search_one", FASTCALL(handle_search_one), METH_FASTCALL, NULL},
    {"search", handle_search, METH_VARARGS, NULL},
    {"search_like", handle_search_like, METH_VARARGS, NULL},
    {"search_radius", handle_search_radius, METH_VARARGS, NULL},
    {"iterate", handle_iterate, METH_VARARGS, NULL},
    {"contains", handle_contains, METH_VARARGS, NULL},
    {"get", handle_get, METH_VARARGS, NULL},
    {"get_sequence", handle_get_sequence, METH_VARARGS, NULL},
    {"view", handle_view, METH_VARARGS, NULL},
    {"level", handle_level, METH_VARARGS, NULL},
    {"neighbours", handle_neighbours, METH_VARARGS, NULL},
    {"keys", handle_keys, METH_VARARGS, NULL},
    {"count", handle_count, METH_NOARGS, NULL},
    {"lsn", handle_lsn, METH_NOARGS, NULL},
    {"durable_lsn", handle_durable_lsn, METH_NOARGS, NULL},
    {"stats", handle_stats, METH_NOARGS, NULL},
    {"options", handle_options, METH_NOARGS, NULL},
    {"metadata_get", handle_metadata_get, METH_NOARGS, NULL},
    {"metadata_set", handle_metadata_set, METH_VARARGS, NULL},
    {"sync", handle_sync, METH_NOARGS, NULL},
    {"checkpoint", handle_checkpoint, METH_NOARGS, NULL},
    {"wait_idle", handle_wait_idle, METH_NOARGS, NULL},
    {"refresh", handle_refresh, METH_NOARGS, NULL},
    {"hot_pages_save", handle_hot_pages_save, METH_NOARGS, NULL},
    {"recall_measure", handle_recall_measure, METH_VARARGS, NULL},
    {"recall_curve", handle_recall_curve, METH_NOARGS, NULL},
    {"recall_ef", handle_recall_ef, METH_VARARGS, NULL},
    {"verify", handle_verify, METH_VARARGS, NULL},
    {"compact", handle_compact, METH_VARARGS, NULL},
    {"compact_cancel", handle_compact_cancel, METH_NOARGS, NULL},
    {"export_topology", handle_export_topology, METH_VARARGS, NULL},
    {"export", handle_export, METH_VARARGS, NULL},
    {"wait_epoch", handle_wait_epoch, METH_VARARGS, NULL},
    {0},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "An open index; rhumb.Index is what programs use."},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_methods, handle_methods},
    {0, NULL},
};
PyType_Spec native_handle_spec = {.name = "rhumb._native.Handle",
                                  .basicsize = sizeof(handle),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                           Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC,
                                  .slots = handle_slots};
