/* sites.h - the site packs that node uses, and whether there are better ones in their folder.
 *
 * A pack is read wholly and checked before it replaces the one before; one that is broken changes
 * nothing but the words that sites_view() shows. A change counts once the folder has been the same
 * for a pause. A pack whose site.yaml is gone is no longer used for new jobs.
 *
 * What is in use is also written into memory that the supervisor keeps (memory_fd): a node that is
 * started again, while a pack lies broken in the folder, goes on with the one that was good. */
#pragma once

#include "api/api.h"
#include "core/settings.h"
#include "extract/packs.h"

struct sites;

/* Every pack of the folder. A broken one is E_CONFIG with its place, unless the memory has it. The
 * settings outlive the sites. */
MUST_USE err sites_open(struct sites **out, int sites_dirfd, int memory_fd,
                        const struct settings *s, wall now, struct fault *f);
/* Looks at the folder, at most some files each; force: a person asked, read everything now. True:
 * sites_packs() is another set. */
MUST_USE bool sites_look(struct sites *s, bool force, mono now, wall at);
struct packs *sites_packs(const struct sites *s); /* borrowed */
size_t sites_view(const struct sites *s, struct api_site *out, size_t max);
void sites_close(struct sites **s);
