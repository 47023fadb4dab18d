/* iterator.c - the type Iterator: vectors one after the other by distance.
 *
 * The library wants iterators closed before their index. So a handle has a list of them, guarded by its lock, and
 * closes those that are left when it is closed itself. An iterator is used by one thread at a time; another gets an
 * exception, as from a generator.
 */
#include "native.h"

typedef struct iterator {
    PyObject_HEAD handle *handle; /* a reference */
    rhumb_iterator *iterator;     /* NULL: closed; guarded by the handle's lock */
    bool busy;                    /* guarded by the handle's lock */
    native_filters filters;
    native_call call; /* of the filters' functions */
    struct iterator *next;
    struct iterator **link; /* what points to this one; NULL: it is in no list */
} iterator;

PyObject *native_iterator_type;

static void unlink_iterator(iterator *self) {
    if (self->link == NULL) return;
    *self->link = self->next;
    if (self->next != NULL) self->next->link = self->link;
    self->link = NULL;
}

void native_iterators_close(handle *handle) {
    while (handle->iterators != NULL) {
        iterator *first = handle->iterators;
        rhumb_iterator_close(first->iterator);
        first->iterator = NULL;
        unlink_iterator(first);
    }
}

static void link_iterator(iterator *self) {
    handle *handle = self->handle;
    pthread_mutex_lock(&handle->lock);
    self->next = handle->iterators;
    self->link = &handle->iterators;
    if (self->next != NULL) self->next->link = &self->next;
    handle->iterators = self;
    pthread_mutex_unlock(&handle->lock);
}

/* iterate(vector, ef, filter) -> Iterator */
PyObject *handle_iterate(PyObject *object, PyObject *args) {
    handle *handle = (struct handle *)object;
    PyObject *vector = NULL;
    PyObject *filter = NULL;
    unsigned ef = 0;
    native_vectors query;
    rhumb_search_options options;
    rhumb_status status = RHUMB_OK;
    if (!PyArg_ParseTuple(args, "OIO", &vector, &ef, &filter)) return NULL;
    if (!native_vectors_take(&query, handle, vector)) return NULL;
    iterator *self = (iterator *)PyType_GenericAlloc((PyTypeObject *)native_iterator_type, 0);
    rhumb_index *index = NULL;
    if (self != NULL) {
        self->handle = (struct handle *)Py_NewRef(object);
        if (query.count != 1) {
            PyErr_Format(PyExc_ValueError, "one vector expected, found %zu", query.count);
        } else if (native_filters_take(&self->filters, filter, &self->call, 1)) {
            index = native_enter(handle);
        }
    }
    if (index != NULL) {
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = ef;
        native_filters_set(&self->filters, &options);
        status = rhumb_iterator_open(index, query.start, &options, &self->iterator);
        if (status == RHUMB_OK) link_iterator(self);
        native_leave(handle);
        if (status != RHUMB_OK) native_raise(status, NATIVE_KEY);
    }
    native_vectors_release(&query);
    if (index == NULL || status != RHUMB_OK) Py_CLEAR(self);
    return (PyObject *)self;
}

/* Claims the iterator for this thread. */
static bool claim(iterator *self) {
    pthread_mutex_lock(&self->handle->lock);
    const bool busy = self->busy;
    const bool open = self->iterator != NULL;
    if (!busy && open) self->busy = true;
    pthread_mutex_unlock(&self->handle->lock);
    if (busy) PyErr_SetString(PyExc_ValueError, "the iterator is in use by another thread");
    if (!busy && !open)
        native_raise_text(NATIVE_CLOSED, "the iterator's index was closed, or belongs to another process");
    return open && !busy;
}

/* next(keys, distances) -> how many were found: fewer than there is room for only at the end */
static PyObject *iterator_next(PyObject *object, PyObject *args) {
    iterator *self = (iterator *)object;
    PyObject *arrays[2];
    Py_buffer keys;
    Py_buffer distances;
    size_t found_count = 0;
    rhumb_status status = RHUMB_OK;
    bool claimed = false;
    if (!PyArg_ParseTuple(args, "OO", &arrays[0], &arrays[1])) return NULL;
    if (!native_output_take(&keys, arrays[0], 0, sizeof(uint64_t), "keys")) return NULL;
    const size_t count = (size_t)keys.len / sizeof(uint64_t);
    if (!native_output_take(&distances, arrays[1], count, sizeof(float), "distances")) {
        PyBuffer_Release(&keys);
        return NULL;
    }
    const rhumb_index *index = native_enter(self->handle);
    if (index != NULL) {
        claimed = claim(self);
        if (claimed) {
            self->call = native_call_begin(self->handle, NULL);
            Py_BEGIN_ALLOW_THREADS;
            status = rhumb_iterator_next(self->iterator, count, keys.buf, distances.buf, &found_count);
            Py_END_ALLOW_THREADS;
            pthread_mutex_lock(&self->handle->lock);
            self->busy = false;
            pthread_mutex_unlock(&self->handle->lock);
        }
        native_leave(self->handle);
    }
    if (distances.obj != NULL) PyBuffer_Release(&distances);
    PyBuffer_Release(&keys);
    if (!claimed || !native_call_end(&self->call, status, NATIVE_KEY)) return NULL;
    return PyLong_FromSize_t(found_count);
}

static void iterator_dealloc(PyObject *object) {
    iterator *self = (iterator *)object;
    PyTypeObject *type = Py_TYPE(object);
    handle *handle = self->handle;
    PyObject_GC_UnTrack(object);
    if (handle != NULL) {
        pthread_mutex_lock(&handle->lock);
        if (self->iterator != NULL) rhumb_iterator_close(self->iterator);
        unlink_iterator(self);
        pthread_mutex_unlock(&handle->lock);
    }
    native_filters_release(&self->filters);
    Py_XDECREF(self->call.type);
    Py_XDECREF(self->call.value);
    Py_XDECREF(self->call.trace);
    Py_XDECREF((PyObject *)handle);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static int iterator_traverse(PyObject *object, visitproc visit, void *arg) {
    const iterator *self = (const iterator *)object;
    Py_VISIT((PyObject *)self->handle);
    Py_VISIT(Py_TYPE(object));
    return native_filters_traverse(&self->filters, visit, arg);
}

static PyMethodDef iterator_methods[] = {
    {"next", iterator_next, METH_VARARGS, NULL},
    {0},
};

static PyType_Slot iterator_slots[] = {
    {Py_tp_doc, "Vectors one after the other by distance; rhumb.Index.iterate is what programs use."},
    {Py_tp_dealloc, iterator_dealloc},
    {Py_tp_traverse, iterator_traverse},
    {Py_tp_methods, iterator_methods},
    {0, NULL},
};
PyType_Spec native_iterator_spec = {.name = "rhumb._native.Iterator",
                                    .basicsize = sizeof(iterator),
                                    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC,
                                    .slots = iterator_slots};
