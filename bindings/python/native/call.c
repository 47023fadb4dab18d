/* call.c - what happens during a call without the GIL: progress functions, Ctrl-C, and exceptions in functions of the
 * caller's.
 *
 * The library reports progress on the thread that called it, about ten times a second. If that is Python's main thread,
 * this is where signal handlers run, and with them Ctrl-C. An exception cannot pass through the library: it is kept
 * here, the library is asked to stop, and the exception is raised once it has returned.
 *
 * A function may call the library in turn, but nothing that would wait for the very call that it is a part of.
 */
#include "native.h"

/* The call whose function this thread runs, or NULL. Inside of a function more calls may begin, which run functions in
 * turn: each call has the one that it began in, so that a thread knows all calls that wait for it. A library's thread
 * that runs a filter knows them too, as the call is not its own but that of the thread that searches. */
static _Thread_local const native_call *running;

native_call native_call_begin(const handle *self, PyObject *progress) {
    return (native_call){.progress = progress == Py_None ? NULL : progress,
                         .handle = self,
                         .outer = running,
                         .owner = self == NULL ? 0 : self->owner};
}

PyObject *native_call_function(const native_call *call, PyObject *function, PyObject *args) {
    const native_call *before = running;
    running = call;
    PyObject *answer = args == NULL ? NULL : PyObject_CallObject(function, args);
    running = before;
    Py_XDECREF(args);
    return answer;
}

static bool waits_for(native_wait wait, native_kind kind) {
    if (wait == NATIVE_WAITS_FOR_READS) return kind != NATIVE_WRITES;
    return wait == NATIVE_WAITS_FOR_ALL || kind == NATIVE_VERIFIES;
}

bool native_refuse_inside(const handle *self, const char *method, native_wait wait) {
    for (const native_call *call = running; call != NULL; call = call->outer) {
        if (call->handle != self || !waits_for(wait, call->kind)) continue;
        PyErr_Format(PyExc_RuntimeError,
                     "%s from a filter or progress function of a call that uses the index: it would "
                     "wait for itself",
                     method);
        return true;
    }
    return false;
}

/* call_within(owner, function, *args) -> what the function returns. Calls of handles that have the owner, and those
 * inside of this one, are within it. */
PyObject *native_call_within(PyObject *module, PyObject *args) {
    (void)module;
    const Py_ssize_t count = PyTuple_Size(args);
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "call_within takes an owner and a function");
        return NULL;
    }
    native_call call = native_call_begin(NULL, NULL);
    call.owner = PyLong_AsUnsignedLongLong(PyTuple_GetItem(args, 0));
    if (PyErr_Occurred()) return NULL;
    return native_call_function(&call, PyTuple_GetItem(args, 1), PyTuple_GetSlice(args, 2, count));
}

/* within(owner) -> whether this thread runs a function of a call of that owner; of 0, of any call */
PyObject *native_within(PyObject *module, PyObject *args) {
    unsigned long long owner = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "K", &owner)) return NULL;
    const native_call *call = running;
    while (call != NULL && owner != 0 && call->owner != owner) call = call->outer;
    return PyBool_FromLong(call != NULL);
}

void native_call_catch(native_call *call) {
    if (call->type == NULL) {
        PyErr_Fetch(&call->type, &call->value, &call->trace);
    } else {
        PyErr_Clear();
    }
}

bool native_call_report(void *context, uint64_t done_count, uint64_t total_count) {
    native_call *call = context;
    const PyGILState_STATE state = PyGILState_Ensure();
    bool go_on = call->type == NULL && PyErr_CheckSignals() == 0;
    if (go_on && call->progress != NULL) {
        PyObject *numbers = Py_BuildValue("KK", (unsigned long long)done_count, (unsigned long long)total_count);
        PyObject *answer = native_call_function(call, call->progress, numbers);
        go_on = answer != NULL && answer != Py_False; /* a function without a return statement goes on */
        Py_XDECREF(answer);
    }
    if (PyErr_Occurred() != NULL) native_call_catch(call);
    PyGILState_Release(state);
    return go_on;
}

bool native_call_end(native_call *call, rhumb_status status, native_subject subject) {
    if (call->type != NULL) {
        PyErr_Restore(call->type, call->value, call->trace);
        call->type = call->value = call->trace = NULL;
        return false;
    }
    if (status != RHUMB_OK) native_raise(status, subject);
    return status == RHUMB_OK;
}
