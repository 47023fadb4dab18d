/* metadata.h - a few bytes that the user keeps with an index, such as the name of the model that made the vectors.
 *
 * They lie in the superblock itself, after the index record, so they are published, checked, repaired and copied with
 * it, and the log does not record them. Anything larger belongs in a file of its own.
 */
#ifndef RHUMB_ENGINE_DURABILITY_METADATA_H
#define RHUMB_ENGINE_DURABILITY_METADATA_H

#include "engine/graph/graph.h"

/* Where they lie in the engine's part of a superblock, see storage/FORMAT.md: their number (u32), then the bytes. */
#define RHUMB__METADATA_CLIENT_OFFSET 508u

/* Writes the metadata into the engine's part of a superblock; returns the feature bits that they need. */
uint64_t rhumb__metadata_encode(const rhumb__metadata *metadata, uint8_t client[RHUMB__CLIENT_BYTES]);

/* The inverse. RHUMB_E_CORRUPT; the message names `path`. */
rhumb_status rhumb__metadata_decode(const rhumb__superblock *superblock, const char *path,
                                    rhumb__metadata *metadata) RHUMB_NODISCARD;

/* Replaces the metadata by at most RHUMB__METADATA_BYTES_MAX bytes and makes a checkpoint: on RHUMB_OK they are
 * durable, otherwise unchanged. What rhumb__checkpoint returns. */
rhumb_status rhumb__metadata_set(rhumb__writer *writer, const void *bytes, uint32_t bytes_count) RHUMB_NODISCARD;

/* Copies the current metadata. The caller makes sure that the graph stays. */
void rhumb__metadata_get(rhumb__graph *graph, rhumb__metadata *metadata);

#endif /* RHUMB_ENGINE_DURABILITY_METADATA_H */
