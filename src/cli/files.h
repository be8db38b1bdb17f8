/* files.h - files of media beside the records: FOLDER/media/POST-1.jpg.
 *
 * The records say which files there are (`file` of each media); these are fetched from the service, so it
 * works alike for one of this machine, a far one, and one that this command started for itself. A file that
 * is there already in its size is left alone. */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "net/client.h"

struct media_files;

/* The list lives in the arena. */
struct media_files *media_files_new(struct arena *a, const char *folder);
/* Notes the files of one record; `parser` is used. */
void media_files_note(struct media_files *m, struct json_parser *parser, struct span record);
int64_t media_files_count(const struct media_files *m);
/* Fetches all that were noted. E_CANCELLED: on_tick said stop; E_NOT_FOUND: the service does not have one
 * any more; others of the client and of the disk. */
MUST_USE err media_files_save(struct media_files *m, struct client *c,
                              bool (*on_tick)(void *ctx), void *ctx, struct fault *f);
