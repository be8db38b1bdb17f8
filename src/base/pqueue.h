/* pqueue.h - a priority queue (binary heap) of nodes that live inside the objects they order.
 *
 * The smallest key is on top; of equal keys the smallest tie. Nothing is allocated per node but the
 * place in the heap's array; putting, moving and removing cost O(log n). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pq_node {
    int64_t key, tie;
    size_t at; /* index + 1; 0: in no queue */
};
struct pqueue {
    struct pq_node **nodes;
    size_t count, room;
};

#define PQ_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Puts it in, or moves it when it is in this queue already. */
void pqueue_put(struct pqueue *q, struct pq_node *n, int64_t key, int64_t tie);
void pqueue_remove(struct pqueue *q, struct pq_node *n); /* fine when it is in none */
struct pq_node *pqueue_top(const struct pqueue *q);      /* NULL: empty */
static inline bool pqueue_has(const struct pq_node *n)
{
    return n->at != 0;
}
/* Forgets the nodes and gives the array back. */
void pqueue_free(struct pqueue *q);
