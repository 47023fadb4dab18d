/* fields.c - structs of the interface as Python objects: what the library fills becomes a named tuple, and a dict of
 * names and values becomes options.
 *
 * fields_tables.h, which tools/c_api.py makes of the headers, names the fields. Enumerations are texts.
 */
#include "fields_tables.h"

#include "native.h"

static const struct {
    const char *name;
    const char *doc;
    const field *fields;
} structs[NATIVE_STRUCT_COUNT] = {
    [NATIVE_STATS] = {"rhumb.Stats", "What an index holds and what its handle has done.", stats_fields},
    [NATIVE_OPTIONS] = {"rhumb.Options", "What an index was created with.", options_fields},
    [NATIVE_INFO] = {"rhumb.Info", "What an index file says of itself.", info_fields},
    [NATIVE_SECTION] = {"rhumb.Section", "A section of an index file, and how much of it is in memory.",
                        section_fields},
    [NATIVE_VERIFY_REPORT] = {"rhumb.VerifyReport", "What verifying has found.", verify_fields},
    [NATIVE_WRITE_REPORT] = {"rhumb.WriteReport", "What a batch has done.", write_fields},
    [NATIVE_COMPACT_REPORT] = {"rhumb.CompactReport", "What a compaction has done.", compact_fields},
    [NATIVE_MERGE_REPORT] = {"rhumb.MergeReport", "What a merge has done.", merge_fields},
    [NATIVE_REPAIR_REPORT] = {"rhumb.RepairReport", "What a repair has found and done.", repair_fields},
    [NATIVE_TOPOLOGY_STATS] = {"rhumb.TopologyStats", "What a topology file is.", topology_fields},
    [NATIVE_IMPORT_REPORT] = {"rhumb.ImportReport", "What an import has found and done.", import_report_fields},
    [NATIVE_RECALL_CURVE] = {"rhumb.RecallCurve", "How much searches found at each ef, when it was measured.",
                             recall_curve_fields},
    [NATIVE_OPEN_OPTIONS] = {"options", NULL, open_fields},
    [NATIVE_COMPACT_OPTIONS] = {"options", NULL, compact_options_fields},
    [NATIVE_MERGE_OPTIONS] = {"options", NULL, merge_options_fields},
    [NATIVE_IMPORT_OPTIONS] = {"options", NULL, import_options_fields},
    [NATIVE_EXPORT_OPTIONS] = {"options", NULL, export_options_fields},
};

static PyTypeObject *types[NATIVE_RESULT_COUNT];

/* ---- enumerations ------------------------------------------------------------------------------------------------- */

static const char *name_of(field_kind kind, uint32_t number) {
    if (kind == FIELD_METRIC) return rhumb_metric_name(number);
    if (kind == FIELD_ELEMENT) return rhumb_element_name(number);
    for (const choice *c = choices[kind]; c->name != NULL; c++) {
        if (c->number == number) return c->name;
    }
    return NULL;
}

/* Returns false with an exception for a text that names none of the choices. */
static bool number_of(const field *f, const char *name, uint32_t *number) {
    if (f->kind == FIELD_METRIC || f->kind == FIELD_ELEMENT) {
        *number =
            f->kind == FIELD_METRIC ? (uint32_t)rhumb_metric_from_name(name) : (uint32_t)rhumb_element_from_name(name);
        if (*number != 0) return true;
    } else {
        for (const choice *c = choices[f->kind]; c->name != NULL; c++) {
            *number = c->number;
            if (strcmp(c->name, name) == 0) return true;
        }
    }
    PyErr_Format(PyExc_ValueError, "%s: there is no '%s'", f->name, name);
    return false;
}

/* ---- from C to Python ---------------------------------------------------------------------------------------------- */

static PyObject *levels_give(const uint64_t *counts) {
    PyObject *tuple = PyTuple_New(RHUMB_LEVEL_MAX + 1);
    for (Py_ssize_t i = 0; tuple != NULL && i <= (Py_ssize_t)RHUMB_LEVEL_MAX; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(counts[i]);
        if (number == NULL || PyTuple_SetItem(tuple, i, number) != 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *uuid_give(const uint8_t *bytes) {
    PyObject *module = PyImport_ImportModule("uuid");
    PyObject *uuid = NULL;
    if (module != NULL) uuid = PyObject_CallMethod(module, "UUID", "Oy#", Py_None, bytes, (Py_ssize_t)16);
    Py_XDECREF(module);
    return uuid;
}

/* A tuple (epoch, reader_count, (pid, ...)) for each pin. */
static PyObject *pins_give(const rhumb_index_info *info) {
    PyObject *pins = PyTuple_New((Py_ssize_t)info->pin_count);
    for (uint32_t i = 0; pins != NULL && i < info->pin_count; i++) {
        PyObject *pids = PyTuple_New((Py_ssize_t)info->pin_pid_counts[i]);
        for (uint32_t j = 0; pids != NULL && j < info->pin_pid_counts[i]; j++) {
            PyObject *pid = PyLong_FromLong(info->pin_pids[RHUMB_INFO_PID_COUNT_MAX * i + j]);
            if (pid == NULL || PyTuple_SetItem(pids, (Py_ssize_t)j, pid) != 0) Py_CLEAR(pids);
        }
        PyObject *pin = NULL;
        if (pids != NULL) {
            pin = Py_BuildValue("KkN", (unsigned long long)info->pin_epochs[i],
                                (unsigned long)info->pin_reader_counts[i], pids);
        }
        if (pin == NULL || PyTuple_SetItem(pins, (Py_ssize_t)i, pin) != 0) Py_CLEAR(pins);
    }
    return pins;
}

/* A tuple (k, ef, recall) for each point. */
static PyObject *points_give(const rhumb_recall_curve *curve) {
    PyObject *points = PyTuple_New((Py_ssize_t)curve->point_count);
    for (uint32_t i = 0; points != NULL && i < curve->point_count; i++) {
        PyObject *point = Py_BuildValue("IId", curve->k[i], curve->ef[i], curve->recall[i]);
        if (point == NULL || PyTuple_SetItem(points, (Py_ssize_t)i, point) != 0) Py_CLEAR(points);
    }
    return points;
}

static PyObject *field_give(const field *f, const char *source) {
    const void *at = source + f->offset;
    switch (f->kind) {
    case FIELD_U32: return PyLong_FromUnsignedLong(*(const uint32_t *)at);
    case FIELD_U64: return PyLong_FromUnsignedLongLong(*(const uint64_t *)at);
    case FIELD_F64: return PyFloat_FromDouble(*(const double *)at);
    case FIELD_BOOL: return PyBool_FromLong(*(const bool *)at);
    case FIELD_TEXT: return PyUnicode_DecodeUTF8(at, (Py_ssize_t)strlen(at), "replace");
    case FIELD_LEVELS: return levels_give(at);
    case FIELD_UUID: return uuid_give(at);
    case FIELD_POINTS: return points_give((const rhumb_recall_curve *)source);
    case FIELD_PINS: return pins_give((const rhumb_index_info *)source);
    default: break;
    }
    const char *name = name_of(f->kind, *(const uint32_t *)at);
    return name == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(name); /* None: an info that does not know */
}

PyObject *native_fields_give(native_struct kind, const void *source) {
    PyObject *result = PyStructSequence_New(types[kind]);
    const field *fields = structs[kind].fields;
    for (Py_ssize_t i = 0; result != NULL && fields[i].name != NULL; i++) {
        PyObject *value = field_give(&fields[i], source);
        if (value != NULL) {
            PyStructSequence_SetItem(result, i, value);
        } else {
            Py_CLEAR(result);
        }
    }
    return result;
}

int native_fields_init(PyObject *module) {
    for (int kind = 0; kind < NATIVE_RESULT_COUNT; kind++) {
        PyStructSequence_Field fields[64] = {{0}};
        int count = 0;
        for (; structs[kind].fields[count].name != NULL; count++) fields[count].name = structs[kind].fields[count].name;
        PyStructSequence_Desc desc = {structs[kind].name, structs[kind].doc, fields, count};
        types[kind] = PyStructSequence_NewType(&desc);
        if (types[kind] == NULL) return -1;
        const char *name = strrchr(structs[kind].name, '.') + 1;
        if (PyModule_AddObjectRef(module, name, (PyObject *)types[kind]) != 0) return -1;
    }
    return 0;
}

/* ---- from Python to C ---------------------------------------------------------------------------------------------- */

static bool whole_number(const field *f, PyObject *value, uint64_t max, uint64_t *number) {
    PyObject *index = PyNumber_Index(value);
    if (index == NULL) {
        PyErr_Format(PyExc_TypeError, "%s: an integer expected, found %R", f->name, value);
        return false;
    }
    *number = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (!PyErr_Occurred() && *number <= max) return true;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%s: 0 to %llu expected, found %R", f->name, (unsigned long long)max, value);
    return false;
}

/* A value of a kind that is stored as it is. */
static bool plain_take(const field *f, PyObject *value, void *at) {
    uint64_t number = 0;
    if (f->kind == FIELD_F64) {
        *(double *)at = PyFloat_AsDouble(value);
        return !PyErr_Occurred();
    }
    if (f->kind == FIELD_BOOL) {
        const int truth = PyObject_IsTrue(value);
        *(bool *)at = truth == 1;
        return truth >= 0;
    }
    if (!whole_number(f, value, f->kind == FIELD_U32 ? UINT32_MAX : UINT64_MAX, &number)) return false;
    if (f->kind == FIELD_U32) {
        *(uint32_t *)at = (uint32_t)number;
    } else if (f->kind == FIELD_U64) {
        *(uint64_t *)at = number;
    } else {
        *(void **)at = (void *)(uintptr_t)number;
    }
    return true;
}

static bool field_take(const field *f, PyObject *value, char *target) {
    void *at = target + f->offset;
    switch (f->kind) {
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_F64:
    case FIELD_BOOL:
    case FIELD_ADDRESS: return plain_take(f, value, at);
    default: break;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s: a str expected, found %R", f->name, value);
        return false;
    }
    const char *text = PyUnicode_AsUTF8AndSize(value, NULL); /* lives as long as the value, which the dict holds */
    if (text == NULL) return false;
    if (f->kind != FIELD_TEXT) return number_of(f, text, at);
    *(const char **)at = text;
    return true;
}

int native_fields_take(native_struct kind, PyObject *dict, void *target) {
    PyObject *name = NULL;
    PyObject *value = NULL;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &name, &value)) {
        const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
        if (text == NULL) return -1;
        const field *f = structs[kind].fields;
        while (f->name != NULL && strcmp(f->name, text) != 0) f++;
        if (f->name == NULL) {
            PyErr_Format(PyExc_TypeError, "there is no option '%s'", text);
            return -1;
        }
        if (!field_take(f, value, target)) return -1;
    }
    return 0;
}
