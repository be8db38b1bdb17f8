#include "store/redis/records.h"

const struct records_ops records_of_archive = {
    .commit = archive_commit,
    .alive = archive_alive,
    .rewind = archive_rewind,
    .items = archive_items,
    .repair = archive_repair,
    .newest = archive_newest,
    .forget = archive_forget,
    .evidence_add = archive_evidence_add,
    .evidence_list = archive_evidence_list,
    .evidence_read = archive_evidence_read,
    .evidence_retain = archive_evidence_retain,
    .fields = archive_fields,
    .drift = archive_drift,
    .fields_retain = archive_fields_retain,
    .fields_add = archive_fields_add,
    .id = archive_id,
};
