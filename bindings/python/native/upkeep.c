/* upkeep.c - verifying, compacting, repairing, and what a file says of itself. */
#include "native.h"

/* verify(progress) -> VerifyReport, also of an index that is damaged */
PyObject *handle_verify(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    PyObject *progress = NULL;
    rhumb_verify_options options;
    rhumb_verify_report report;
    rhumb_status status;
    if (!self->read_only && native_refuse_inside(self, "verify()", NATIVE_WAITS_FOR_READS)) return NULL;
    if (!PyArg_ParseTuple(args, "O", &progress)) return NULL;
    native_call call = native_call_begin(self, progress);
    call.kind = NATIVE_VERIFIES;
    rhumb_verify_options_init(&options, sizeof options);
    options.progress = native_call_report;
    options.progress_context = &call;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_verify_with(index, &options, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (status == RHUMB_E_CORRUPT) status = RHUMB_OK;
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_VERIFY_REPORT, &report);
}

/* compact(options, progress) -> CompactReport, or None in the background */
PyObject *handle_compact(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    PyObject *values = NULL;
    PyObject *progress = NULL;
    rhumb_compact_options options;
    rhumb_compact_report report;
    rhumb_status status;
    if (!PyArg_ParseTuple(args, "OO", &values, &progress)) return NULL;
    native_call call = native_call_begin(self, progress);
    rhumb_compact_options_init(&options, sizeof options);
    if (native_fields_take(NATIVE_COMPACT_OPTIONS, values, &options) != 0) return NULL;
    if (!options.background) { /* `call` is gone before the background has ended */
        if (native_refuse_inside(self, "compact()", NATIVE_WAITS_FOR_ALL)) return NULL;
        options.progress = native_call_report;
        options.progress_context = &call;
    }
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_compact(index, &options, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    if (options.background) Py_RETURN_NONE;
    return native_fields_give(NATIVE_COMPACT_REPORT, &report);
}

/* compact_into(path, new_path, options, filter, progress) -> CompactReport */
PyObject *native_compact_into(PyObject *module, PyObject *args) {
    const char *path = NULL;
    const char *new_path = NULL;
    PyObject *values = NULL;
    PyObject *filter = NULL;
    PyObject *progress = NULL;
    rhumb_compact_options options;
    rhumb_search_options searching;
    rhumb_compact_report report;
    native_filters filters;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "yyOOO", &path, &new_path, &values, &filter, &progress)) return NULL;
    native_call call = native_call_begin(NULL, progress);
    rhumb_compact_options_init(&options, sizeof options);
    rhumb_search_options_init(&searching, sizeof searching);
    if (native_fields_take(NATIVE_COMPACT_OPTIONS, values, &options) != 0) return NULL;
    if (!native_filters_take(&filters, filter, &call, 1)) return NULL;
    native_filters_set(&filters, &searching);
    options.filter = searching.filter;
    options.progress = native_call_report;
    options.progress_context = &call;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_compact_into(path, new_path, &options, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    native_filters_release(&filters);
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_COMPACT_REPORT, &report);
}

/* merge(paths, new_path, options, progress) -> MergeReport; paths is a tuple of bytes */
PyObject *native_merge(PyObject *module, PyObject *args) {
    PyObject *sources = NULL;
    const char *new_path = NULL;
    PyObject *values = NULL;
    PyObject *progress = NULL;
    rhumb_merge_options options;
    rhumb_merge_report report;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!yOO", &PyTuple_Type, &sources, &new_path, &values, &progress)) return NULL;
    native_call call = native_call_begin(NULL, progress);
    rhumb_merge_options_init(&options, sizeof options);
    if (native_fields_take(NATIVE_MERGE_OPTIONS, values, &options) != 0) return NULL;
    options.progress = native_call_report;
    options.progress_context = &call;
    const Py_ssize_t count = PyTuple_Size(sources);
    const char **paths = PyMem_Calloc((size_t)count + 1, sizeof *paths);
    if (paths == NULL) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        paths[i] = PyBytes_AsString(PyTuple_GetItem(sources, i));
        if (paths[i] != NULL) continue;
        PyMem_Free((void *)paths);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_merge_into(paths, (size_t)count, new_path, &options, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    PyMem_Free((void *)paths);
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_MERGE_REPORT, &report);
}

/* repair(path, new_path, strict, threads, progress) -> RepairReport */
PyObject *native_repair(PyObject *module, PyObject *args) {
    const char *path = NULL;
    const char *new_path = NULL;
    int strict = 0;
    unsigned threads = 0;
    PyObject *progress = NULL;
    rhumb_repair_options options;
    rhumb_repair_report report;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "yypIO", &path, &new_path, &strict, &threads, &progress)) return NULL;
    native_call call = native_call_begin(NULL, progress);
    rhumb_repair_options_init(&options, sizeof options);
    options.strict = strict != 0;
    options.thread_count = threads;
    options.progress = native_call_report;
    options.progress_context = &call;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_repair(path, new_path, &options, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_REPAIR_REPORT, &report);
}

/* info(path) -> Info */
PyObject *native_info(PyObject *module, PyObject *args) {
    const char *path = NULL;
    rhumb_index_info info;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "y", &path)) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_info_get(path, &info, sizeof info);
    Py_END_ALLOW_THREADS;
    return status == RHUMB_OK ? native_fields_give(NATIVE_INFO, &info) : native_raise(status, NATIVE_FILE);
}

/* sections(path) -> [Section] */
PyObject *native_sections(PyObject *module, PyObject *args) {
    const char *path = NULL;
    rhumb_section_info sections[RHUMB_SECTION_COUNT_MAX];
    size_t count = 0;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "y", &path)) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_sections_get(path, sections, sizeof sections[0], RHUMB_SECTION_COUNT_MAX, &count);
    Py_END_ALLOW_THREADS;
    if (status != RHUMB_OK) return native_raise(status, NATIVE_FILE);
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *section = native_fields_give(NATIVE_SECTION, &sections[i]);
        if (section == NULL || PyList_Append(list, section) != 0) Py_CLEAR(list);
        Py_XDECREF(section);
    }
    return list;
}
