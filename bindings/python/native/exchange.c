/* exchange.c - indexes of files of other libraries, files for other libraries, and waiting for another process's
 * checkpoints.
 */
#include <stddef.h>

#include "native.h"

/* import_index(path, new_path, options, progress) -> ImportReport */
PyObject *native_import_index(PyObject *module, PyObject *args) {
    const char *path = NULL;
    const char *new_path = NULL;
    PyObject *values = NULL;
    PyObject *progress = NULL;
    rhumb_import_options options;
    rhumb_import_report report;
    rhumb_status status;
    (void)module;
    if (!PyArg_ParseTuple(args, "yyOO", &path, &new_path, &values, &progress)) return NULL;
    native_call call = native_call_begin(NULL, progress);
    rhumb_import_options_init(&options, sizeof options);
    if (native_fields_take(NATIVE_IMPORT_OPTIONS, values, &options) != 0) return NULL;
    options.progress = native_call_report;
    options.progress_context = &call;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_import(path, new_path, &options, &report, sizeof report);
    Py_END_ALLOW_THREADS;
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_IMPORT_REPORT, &report);
}

/* export(path, options, progress) */
PyObject *handle_export(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    const char *path = NULL;
    PyObject *values = NULL;
    PyObject *progress = NULL;
    rhumb_export_options options;
    rhumb_status status;
    if (!PyArg_ParseTuple(args, "yOO", &path, &values, &progress)) return NULL;
    native_call call = native_call_begin(self, progress);
    rhumb_export_options_init(&options, sizeof options);
    if (native_fields_take(NATIVE_EXPORT_OPTIONS, values, &options) != 0) return NULL;
    options.progress = native_call_report;
    options.progress_context = &call;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_export(index, path, &options);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    if (!native_call_end(&call, status, NATIVE_FILE)) return NULL;
    Py_RETURN_NONE;
}

/* wait_epoch(epoch, timeout_ms) -> the number of the newest checkpoint, below `epoch` if the time ran out; an epoch of
 * 0 is one above what the handle shows. One look or one short sleep: the caller repeats it, and between two of them
 * Ctrl-C and close() take effect. */
PyObject *handle_wait_epoch(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    unsigned long long epoch = 0;
    unsigned long long timeout_ms = 0;
    uint64_t newest = 0;
    rhumb_status status;
    if (!PyArg_ParseTuple(args, "KK", &epoch, &timeout_ms)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = rhumb_index_wait_epoch(index, epoch, timeout_ms, &newest);
    Py_END_ALLOW_THREADS;
    native_leave(self);
    return status == RHUMB_OK ? PyLong_FromUnsignedLongLong(newest) : native_raise(status, NATIVE_FILE);
}
