/* memory.c - the type Memory: read-only memory of the library, as a buffer that numpy can use without a copy.
 *
 * What keeps the memory where it is, a lease or an open topology, is released with the last array over it. In a forked
 * child the memory is not there, so asking for it raises Forked; arrays that were made before the fork must not be read.
 */
#include "native.h"

typedef struct memory {
    PyObject_HEAD const void *start;
    Py_ssize_t bytes;
    PyObject *owner;
    rhumb_lease *lease;
    unsigned fork_generation;
} memory;

PyObject *native_memory_type;

PyObject *native_memory_new(const void *start, size_t bytes, PyObject *owner, rhumb_lease *lease) {
    memory *self = (memory *)PyType_GenericAlloc((PyTypeObject *)native_memory_type, 0);
    if (self == NULL) {
        rhumb_lease_release(lease);
        return NULL;
    }
    self->start = start;
    self->bytes = (Py_ssize_t)bytes;
    self->owner = Py_XNewRef(owner);
    self->lease = lease;
    self->fork_generation = native_fork_generation;
    return (PyObject *)self;
}

static int memory_get_buffer(PyObject *object, Py_buffer *view, int flags) {
    memory *self = (memory *)object;
    if (self->fork_generation != native_fork_generation) {
        view->obj = NULL;
        native_raise_text("RHUMB_E_FORKED", "the memory belongs to a process that this one was forked from");
        return -1;
    }
    return PyBuffer_FillInfo(view, object, (void *)(uintptr_t)self->start, self->bytes, 1, flags);
}

static void memory_dealloc(PyObject *object) {
    memory *self = (memory *)object;
    PyTypeObject *type = Py_TYPE(object);
    rhumb_lease_release(self->lease);
    Py_XDECREF(self->owner);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "Read-only memory of an index, as a buffer."},
    {Py_tp_dealloc, memory_dealloc},
    {Py_bf_getbuffer, memory_get_buffer},
    {0, NULL},
};
PyType_Spec native_memory_spec = {.name = "rhumb._native.Memory",
                                  .basicsize = sizeof(memory),
                                  .flags =
                                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  .slots = memory_slots};
