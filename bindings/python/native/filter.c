/* filter.c - which keys a search may return: the type Filter, and its use in a call.
 *
 * A Filter is immutable and keeps its array or function alive, so any number of searches may use it at the same time.
 * What belongs to one search, the exception that a function has raised, is in the filter_use of that call.
 * The garbage collector sees the function, which may refer to what holds the filter. There is nothing to clear: a cycle
 * always passes through an object that can be cleared, as with tuples.
 */
#include "native.h"

typedef struct filter {
    PyObject_HEAD rhumb_filter filter;
    Py_buffer buffer;  /* of keys or bits; obj is NULL if there is none */
    PyObject *source;  /* a function, or what keeps a C function alive; NULL if there is none */
    bool calls_python; /* the function is Python's */
} filter;

typedef struct filter_use {
    rhumb_filter filter; /* a copy, whose context is this struct if the function is Python's */
    PyObject *owner;     /* the Filter, or NULL */
    native_call *call;
} filter_use;

PyObject *native_filter_type;

static bool call_python(void *context, uint64_t key) {
    const filter_use *use = context;
    const PyGILState_STATE state = PyGILState_Ensure();
    bool matches = false;
    if (use->call->type == NULL) {
        PyObject *source = ((filter *)use->owner)->source;
        PyObject *answer = native_call_function(use->call, source, Py_BuildValue("(K)", (unsigned long long)key));
        const int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
        matches = truth > 0;
        if (truth < 0) native_call_catch(use->call);
    }
    PyGILState_Release(state);
    return matches;
}

/* ---- the type -------------------------------------------------------------------------------------------------------- */

static bool set_source(filter *self, const char *kind, PyObject *source, uint64_t number) {
    if (strcmp(kind, "keys") == 0) {
        if (!native_input_take(&self->buffer, source, sizeof(uint64_t), "keys")) return false;
        self->filter.kind = RHUMB_FILTER_KEYS;
        self->filter.keys = self->buffer.buf;
        self->filter.key_count = (size_t)self->buffer.len / sizeof(uint64_t);
        return true;
    }
    if (strcmp(kind, "bitmap") == 0) {
        if (!native_input_take(&self->buffer, source, 1, "bitmap")) return false;
        self->filter.kind = RHUMB_FILTER_BITMAP;
        self->filter.bitmap = self->buffer.buf;
        self->filter.bitmap_bit_count = 8 * (uint64_t)self->buffer.len;
        self->filter.bitmap_key_base = number;
        return true;
    }
    self->filter.kind = RHUMB_FILTER_CALLBACK;
    self->source = Py_NewRef(source);
    self->calls_python = strcmp(kind, "function") == 0;
    if (!self->calls_python) self->filter.matches = (rhumb_filter_fn)(uintptr_t)number;
    return true;
}

/* Filter(kind, source, number): kind "keys" and a buffer of u64, "bitmap" and a buffer of bits whose first is that of
 * key `number`, "function" and a callable, "pointer" and what keeps the C function at the address `number` alive. */
static PyObject *filter_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    const char *kind = NULL;
    PyObject *source = NULL;
    unsigned long long number = 0;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "sOK", &kind, &source, &number)) return NULL;
    filter *self = (filter *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    rhumb_filter_init(&self->filter, sizeof self->filter);
    if (!set_source(self, kind, source, number)) Py_CLEAR(self);
    return (PyObject *)self;
}

static void filter_dealloc(PyObject *object) {
    filter *self = (filter *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->buffer.obj != NULL) PyBuffer_Release(&self->buffer);
    Py_XDECREF(self->source);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static int filter_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((filter *)object)->source);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

/* The filter that lets through what this one does not. It shares the array by its own claim on the buffer. */
static PyObject *filter_invert(PyObject *object) {
    const filter *self = (filter *)object;
    filter *inverse = (filter *)PyType_GenericAlloc((PyTypeObject *)native_filter_type, 0);
    if (inverse == NULL) return NULL;
    if (self->buffer.obj != NULL && PyObject_GetBuffer(self->buffer.obj, &inverse->buffer, PyBUF_SIMPLE) != 0) {
        Py_DECREF(inverse);
        return NULL;
    }
    inverse->filter = self->filter;
    inverse->filter.negate = !self->filter.negate;
    inverse->source = Py_XNewRef(self->source);
    inverse->calls_python = self->calls_python;
    return (PyObject *)inverse;
}

static PyType_Slot filter_slots[] = {
    {Py_tp_doc,
     "Which keys a search may return. Made by rhumb.Keys, rhumb.Bitmap and rhumb.Where; ~filter inverts it."},
    {Py_tp_new, filter_new},
    {Py_tp_dealloc, filter_dealloc},
    {Py_tp_traverse, filter_traverse},
    {Py_nb_invert, filter_invert},
    {0, NULL},
};
PyType_Spec native_filter_spec = {.name = "rhumb.Filter",
                                  .basicsize = sizeof(filter),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
                                  .slots = filter_slots};

/* ---- use in a call ----------------------------------------------------------------------------------------------------- */

static bool use_take(filter_use *use, PyObject *object, native_call *call) {
    const int is_filter = PyObject_IsInstance(object, native_filter_type);
    if (is_filter <= 0) {
        if (is_filter == 0) PyErr_Format(PyExc_TypeError, "a rhumb.Filter expected, found %R", object);
        return false;
    }
    const filter *source = (filter *)object;
    use->filter = source->filter;
    use->owner = Py_NewRef(object);
    use->call = call;
    if (source->calls_python) {
        use->filter.matches = call_python;
        use->filter.context = use;
    }
    return true;
}

static bool list_take(native_filters *filters, PyObject *list, native_call *call) {
    filters->pointers = PyMem_Calloc(filters->count + 1, sizeof *filters->pointers);
    if (filters->pointers == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < filters->count; i++) {
        PyObject *item = PyList_GetItem(list, (Py_ssize_t)i);
        if (item == NULL) return false;
        if (item == Py_None) continue;
        if (!use_take(&filters->uses[i], item, call)) return false;
        filters->pointers[i] = &filters->uses[i].filter;
    }
    return true;
}

bool native_filters_take(native_filters *filters, PyObject *object, native_call *call, size_t query_count) {
    *filters = (native_filters){0};
    if (object == Py_None) return true;
    const bool is_list = PyList_Check(object);
    if (is_list && (size_t)PyList_Size(object) != query_count) {
        PyErr_Format(PyExc_ValueError, "filters: %zu expected, one per query, found %zd", query_count,
                     PyList_Size(object));
        return false;
    }
    filters->count = is_list ? query_count : 1;
    filters->uses = PyMem_Calloc(filters->count + 1, sizeof *filters->uses);
    if (filters->uses == NULL) {
        PyErr_NoMemory();
        return false;
    }
    if (is_list ? list_take(filters, object, call) : use_take(filters->uses, object, call)) return true;
    native_filters_release(filters);
    return false;
}

void native_filters_set(const native_filters *filters, rhumb_search_options *options) {
    if (filters->count == 0) return;
    if (filters->pointers != NULL) {
        options->filters = filters->pointers;
    } else {
        options->filter = &filters->uses[0].filter;
    }
}

void native_filters_release(native_filters *filters) {
    for (size_t i = 0; filters->uses != NULL && i < filters->count; i++) Py_XDECREF(filters->uses[i].owner);
    PyMem_Free(filters->uses);
    PyMem_Free(filters->pointers);
    *filters = (native_filters){0};
}

int native_filters_traverse(const native_filters *filters, visitproc visit, void *arg) {
    for (size_t i = 0; filters->uses != NULL && i < filters->count; i++) Py_VISIT(filters->uses[i].owner);
    return 0;
}
