/* module.c - the extension module rhumb._native: its functions, its types, and its loading.
 *
 * Types and the count of forks are the process's own, so the module belongs to the main interpreter.
 */
#include "native.h"

static PyObject *native_version(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    const unsigned long version = rhumb_version();
    return PyUnicode_FromFormat("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

/* metric_name(text) -> the name of the metric that a text means, such as "l2" for "euclidean", or None */
static PyObject *native_metric_name(PyObject *module, PyObject *args) {
    const char *text = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "s", &text)) return NULL;
    const rhumb_metric metric = rhumb_metric_from_name(text);
    if (metric == 0) Py_RETURN_NONE;
    return PyUnicode_FromString(rhumb_metric_name(metric));
}

/* metric_supports(metric, element) -> bool; of names that do not exist, False */
static PyObject *native_metric_supports(PyObject *module, PyObject *args) {
    const char *metric = NULL;
    const char *element = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "ss", &metric, &element)) return NULL;
    return PyBool_FromLong(rhumb_metric_supports(rhumb_metric_from_name(metric), rhumb_element_from_name(element)));
}

/* sigbus_guard(on): turns pages that cannot be read into exceptions, or no longer. */
static PyObject *native_sigbus_guard(PyObject *module, PyObject *args) {
    int on = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "p", &on)) return NULL;
    const rhumb_status status = on ? rhumb_sigbus_guard_install() : rhumb_sigbus_guard_remove();
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"version", native_version, METH_NOARGS, NULL},
    {"metric_name", native_metric_name, METH_VARARGS, NULL},
    {"metric_supports", native_metric_supports, METH_VARARGS, NULL},
    {"sigbus_guard", native_sigbus_guard, METH_VARARGS, NULL},
    {"call_within", native_call_within, METH_VARARGS, NULL},
    {"within", native_within, METH_VARARGS, NULL},
    {"create", native_create, METH_VARARGS, NULL},
    {"open", native_open, METH_VARARGS, NULL},
    {"info", native_info, METH_VARARGS, NULL},
    {"sections", native_sections, METH_VARARGS, NULL},
    {"compact_into", native_compact_into, METH_VARARGS, NULL},
    {"merge", native_merge, METH_VARARGS, NULL},
    {"repair", native_repair, METH_VARARGS, NULL},
    {"import_index", native_import_index, METH_VARARGS, NULL},
    {"topology_open", native_topology_open, METH_VARARGS, NULL},
    {0},
};

static void count_fork(void) { native_fork_generation++; }

static int add_type(PyObject *module, PyType_Spec *spec, PyObject **type_out) {
    *type_out = PyType_FromModuleAndSpec(module, spec, NULL);
    if (*type_out == NULL) return -1;
    return PyModule_AddType(module, (PyTypeObject *)*type_out);
}

static int module_exec(PyObject *module) {
    static bool loaded;
    if (loaded) {
        PyErr_SetString(PyExc_ImportError, "rhumb can be loaded once in a process, by its main interpreter");
        return -1;
    }
    if (native_fields_init(module) != 0 || add_type(module, &native_handle_spec, &native_handle_type) != 0 ||
        add_type(module, &native_filter_spec, &native_filter_type) != 0 ||
        add_type(module, &native_memory_spec, &native_memory_type) != 0 ||
        add_type(module, &native_iterator_spec, &native_iterator_type) != 0 ||
        add_type(module, &native_topology_spec, &native_topology_type) != 0) {
        return -1;
    }
    if (pthread_atfork(NULL, NULL, count_fork) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    loaded = true;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "rhumb._native", .m_doc = "rhumb's C library.",
                                        .m_methods = functions, .m_slots = slots};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
