/* topology.c - the graph of an index as a file: Handle.export_topology, and the type Topology.
 *
 * The arrays of an open topology are Memory that refers to it, so it is closed after the last of them.
 */
#include "native.h"

/* export_topology(path, all_levels, with_distances, threads, progress) -> TopologyStats */
PyObject *handle_export_topology(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    const char *path = NULL;
    int all_levels = 0;
    int with_distances = 0;
    unsigned threads = 0;
    PyObject *progress = NULL;
    rhumb_topology_options options;
    rhumb_topology_stats stats;
    rhumb_status status;
    if (native_refuse_inside(self, "export_topology()", NATIVE_WAITS_FOR_READS)) return NULL;
    if (!PyArg_ParseTuple(args, "yppIO", &path, &all_levels, &with_distances, &threads, &progress)) return NULL;
    native_call call = native_call_begin(self, progress);
    rhumb_topology_options_init(&options, sizeof options);
    options.all_levels = all_levels != 0;
    options.with_distances = with_distances != 0;
    options.thread_count = threads;
    options.progress = native_call_report;
    options.progress_context = &call;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_topology_export(index, path, &options, &stats, sizeof stats);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_TOPOLOGY_STATS, &stats);
}

typedef struct topology {
    PyObject_HEAD rhumb_topology *topology;
    unsigned fork_generation;
} topology;

PyObject *native_topology_type;

/* topology_open(path) -> Topology */
PyObject *native_topology_open(PyObject *module, PyObject *args) {
    const char *path = NULL;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "y", &path)) return NULL;
    topology *self = (topology *)PyType_GenericAlloc((PyTypeObject *)native_topology_type, 0);
    if (self == NULL) return NULL;
    self->fork_generation = native_fork_generation;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_topology_open(path, &self->topology);
    Py_END_ALLOW_THREADS;
    if (status == RHUMB_OK) return (PyObject *)self;
    native_raise(status, NATIVE_FILE);
    Py_DECREF(self);
    return NULL;
}

static void topology_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    rhumb_topology_close(((topology *)object)->topology);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyObject *topology_stats(PyObject *object, PyObject *unused) {
    rhumb_topology_stats stats;
    (void)unused;
    const rhumb_status status = rhumb_topology_stats_get(((topology *)object)->topology, &stats, sizeof stats);
    return status == RHUMB_OK ? native_fields_give(NATIVE_TOPOLOGY_STATS, &stats) : native_raise(status, NATIVE_FILE);
}

/* verify(): raises Corrupt, with the first error found, if the file is damaged. */
static PyObject *topology_verify(PyObject *object, PyObject *unused) {
    rhumb_topology_report report;
    rhumb_status status;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_topology_verify(((topology *)object)->topology, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    Py_RETURN_NONE;
}

/* arrays() -> Memory of keys, starts, levels, neighbours, and distances or None */
static PyObject *topology_arrays(PyObject *object, PyObject *unused) {
    rhumb_topology_arrays arrays;
    (void)unused;
    if (((topology *)object)->fork_generation != native_fork_generation) {
        return native_raise_text("RHUMB_E_FORKED", "the topology belongs to a process that this one was forked from");
    }
    const rhumb_status status = rhumb_topology_arrays_get(((topology *)object)->topology, &arrays, sizeof arrays);
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    const size_t points = arrays.point_count;
    const size_t links = arrays.link_count;
    return Py_BuildValue("NNNNN", native_memory_new(arrays.keys, points * sizeof *arrays.keys, object, NULL),
                         native_memory_new(arrays.starts, (points + 1) * sizeof *arrays.starts, object, NULL),
                         native_memory_new(arrays.levels, points, object, NULL),
                         native_memory_new(arrays.neighbours, links * sizeof *arrays.neighbours, object, NULL),
                         arrays.distances == NULL
                             ? Py_NewRef(Py_None)
                             : native_memory_new(arrays.distances, links * sizeof *arrays.distances, object, NULL));
}

static PyMethodDef topology_methods[] = {
    {"stats", topology_stats, METH_NOARGS, NULL},
    {"verify", topology_verify, METH_NOARGS, NULL},
    {"arrays", topology_arrays, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot topology_slots[] = {
    {Py_tp_doc, "An open topology file; rhumb.Topology is what programs use."},
    {Py_tp_dealloc, topology_dealloc},
    {Py_tp_methods, topology_methods},
    {0, NULL},
};
PyType_Spec native_topology_spec = {.name = "rhumb._native.Topology",
                                    .basicsize = sizeof(topology),
                                    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                             Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                    .slots = topology_slots};
