/* names.c - versions, names, errors, messages and signals: the functions of rhumb.h that need no index. Stateless. */
#include "base/bus_guard.h"
#include "base/log_message.h"
#include "base/status.h"
#include "distances/element.h"
#include "distances/metric.h"
#include "include/rhumb.h"
#include "storage/frame/format.h"

uint32_t rhumb_version(void) {
    return RHUMB_VERSION_MAJOR * 1000000u + RHUMB_VERSION_MINOR * 1000u + RHUMB_VERSION_PATCH;
}

uint32_t rhumb_format_version(void) { return RHUMB__FORMAT_VERSION; }

const char *rhumb_status_name(rhumb_status status) { return rhumb__status_name(status); }

const rhumb_error *rhumb_error_last(void) { return rhumb__error_last(); }

void rhumb_log_set(rhumb_log_fn function, void *context, rhumb_log_level level_max) {
    rhumb__log_message_set(function, context, level_max);
}

rhumb_status rhumb_sigbus_guard_install(void) { return rhumb__bus_guard_install(); }

rhumb_status rhumb_sigbus_guard_remove(void) { return rhumb__bus_guard_uninstall(); }

const char *rhumb_metric_name(rhumb_metric metric) { return rhumb__metric_name(metric); }

rhumb_metric rhumb_metric_from_name(const char *name) { return rhumb__metric_from_name(name); }

bool rhumb_metric_supports(rhumb_metric metric, rhumb_element element) {
    return rhumb__metric_supports(metric, element);
}

const char *rhumb_element_name(rhumb_element element) { return rhumb__element_name(element); }

rhumb_element rhumb_element_from_name(const char *name) { return rhumb__element_from_name(name); }

uint32_t rhumb_element_bits(rhumb_element element) { return rhumb__element_bits(element); }

bool rhumb_element_is_float(rhumb_element element) { return rhumb__element_is_float(element); }

size_t rhumb_element_convert(rhumb_element from, const void *source, rhumb_element to, void *target, size_t count) {
    return rhumb__element_convert(from, source, to, target, count);
}
