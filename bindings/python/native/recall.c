/* recall.c - methods of Handle that measure how much searches find, and say what was measured. */
#include "native.h"

static bool measure_take(PyObject *args, handle *self, native_vectors *queries, rhumb_recall_options *options,
                         native_call *call) {
    PyObject *vectors = NULL;
    PyObject *progress = NULL;
    Py_ssize_t count = 0;
    unsigned long long seed = 0;
    unsigned threads = 0;
    int dry_run = 0;
    if (native_refuse_inside(self, "measure_recall()", NATIVE_WAITS_FOR_VERIFY)) return false;
    if (!PyArg_ParseTuple(args, "OnKIpO", &vectors, &count, &seed, &threads, &dry_run, &progress)) return false;
    *queries = (native_vectors){0};
    if (vectors != Py_None && !native_vectors_take(queries, self, vectors)) return false;
    *call = native_call_begin(self, progress);
    rhumb_recall_options_init(options, sizeof *options);
    options->queries = vectors == Py_None ? NULL : queries->start;
    options->query_count = vectors == Py_None ? (size_t)count : queries->count;
    options->seed = seed;
    options->thread_count = threads;
    options->dry_run = dry_run != 0;
    options->progress = native_call_report;
    options->progress_context = call;
    return true;
}

/* recall_measure(vectors or None, count, seed, threads, dry_run, progress) -> RecallCurve */
PyObject *handle_recall_measure(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    native_vectors queries;
    native_call call;
    rhumb_recall_options options;
    rhumb_recall_curve curve;
    rhumb_status status = RHUMB_OK;
    if (!measure_take(args, self, &queries, &options, &call)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        status = rhumb_index_recall_measure(index, &options, &curve, sizeof curve);
        Py_END_ALLOW_THREADS;
        native_leave(self);
    }
    native_vectors_release(&queries);
    if (index == NULL || !native_call_end(&call, status, NATIVE_FILE)) return NULL;
    return native_fields_give(NATIVE_RECALL_CURVE, &curve);
}

/* recall_curve() -> RecallCurve, or None if it was never measured */
PyObject *handle_recall_curve(PyObject *object, PyObject *unused) {
    handle *self = (handle *)object;
    rhumb_recall_curve curve;
    (void)unused;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    const rhumb_status status = rhumb_index_recall_get(index, &curve, sizeof curve);
    native_leave(self);
    if (status == RHUMB_E_NOTFOUND) Py_RETURN_NONE;
    return status == RHUMB_OK ? native_fields_give(NATIVE_RECALL_CURVE, &curve) : native_raise(status, NATIVE_FILE);
}

/* recall_ef(k, recall) -> (ef, the recall that it had) */
PyObject *handle_recall_ef(PyObject *object, PyObject *args) {
    handle *self = (handle *)object;
    Py_ssize_t k = 0;
    double recall = 0;
    double reached = 0;
    uint32_t ef = 0;
    if (!PyArg_ParseTuple(args, "nd", &k, &recall)) return NULL;
    rhumb_index *index = native_enter(self);
    if (index == NULL) return NULL;
    const rhumb_status status = rhumb_index_recall_ef(index, k < 0 ? 0 : (size_t)k, recall, &ef, &reached);
    native_leave(self);
    return status == RHUMB_OK ? Py_BuildValue("Id", ef, reached) : native_raise(status, NATIVE_FILE);
}
