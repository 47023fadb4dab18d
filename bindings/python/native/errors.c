/* errors.c - statuses of the library as exceptions. The classes are Python's (../rhumb/errors.py); this file passes what
 * the library has recorded to errors.make.
 */
#include "native.h"

static PyObject *raise_record(const char *name, native_subject subject, const rhumb_error *record) {
    PyObject *errors = PyImport_ImportModule("rhumb.errors");
    if (errors == NULL) return NULL;
    PyObject *offset =
        record->file_offset == UINT64_MAX ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(record->file_offset);
    PyObject *path = PyUnicode_DecodeFSDefault(record->path);
    PyObject *message = PyUnicode_DecodeUTF8(record->message, (Py_ssize_t)strlen(record->message), "replace");
    PyObject *exception = NULL;
    if (offset != NULL && path != NULL && message != NULL) {
        exception = PyObject_CallMethod(errors, "make", "sOOOiO", name, message, path, offset, (int)record->os_errno,
                                        subject == NATIVE_FILE ? Py_True : Py_False);
    }
    if (exception != NULL) PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    Py_XDECREF(message);
    Py_XDECREF(path);
    Py_XDECREF(offset);
    Py_DECREF(errors);
    return NULL;
}

PyObject *native_raise(rhumb_status status, native_subject subject) {
    const rhumb_error record = *rhumb_error_last(); /* importing may run code that fails in the library */
    return raise_record(rhumb_status_name(status), subject, &record);
}

PyObject *native_raise_text(const char *name, const char *message) {
    rhumb_error record = {.file_offset = UINT64_MAX};
    snprintf(record.message, sizeof record.message, "%s", message);
    return raise_record(name, NATIVE_KEY, &record);
}
