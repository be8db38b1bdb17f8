/* ops.c - the table of operations of the store of several machines. */
#include "store/redis/redis.h"

#define OPERATION(result, name, parameters, arguments) .name = redis_##name,
const struct store_ops redis_ops = {.name = "redis",
                                    .close = redis_close,
                                    .idle = redis_idle,
                                    .durability = redis_durability,
                                    .is_away = redis_is_away,
                                    .keeps = redis_keeps,
                                    .id = redis_id,
                                    .loss = redis_loss,
                                    .replication = redis_replication,
                                    .together = redis_together,
                                    STORE_OPERATIONS(OPERATION)};
