/* start.h - when a job that waits will start: the same guess in every store. */
#pragma once

#include "core/meter.h"
#include "store/store.h"

/* Fills in view->start_ms. sums: of its lane. Nobody knows where a person, or the end of another job, has to come first. */
void start_guess(struct job_view *view, const struct meter_sums *sums, wall now);
