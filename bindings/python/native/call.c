/* call.c - what happens during a call without the GIL: progress functions, Ctrl-C, and exceptions in functions of the
 * caller's.
 *
 * The library reports progress on the thread that called it, about ten times a second. If that is Python's main thread,
 * this is where signal handlers run, and with them Ctrl-C. An exception cannot pass through the library: it is kept
 * here, the library is asked to stop, and the exception is raised once it has returned.
 */
#include "native.h"

_Thread_local unsigned native_callback_depth;

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
        native_callback_depth++;
        PyObject *answer = PyObject_CallFunction(call->progress, "KK", (unsigned long long)done_count,
                                                 (unsigned long long)total_count);
        native_callback_depth--;
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
        *call = (native_call){0};
        return false;
    }
    if (status != RHUMB_OK) native_raise(status, subject);
    return status == RHUMB_OK;
}
