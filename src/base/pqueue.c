#include "base/pqueue.h"

#include "base/need.h"

#include <stdlib.h>

static bool before(const struct pq_node *a, const struct pq_node *b)
{
    return a->key < b->key || (a->key == b->key && a->tie < b->tie);
}

static void place(struct pqueue *q, size_t i, struct pq_node *n)
{
    q->nodes[i] = n;
    n->at = i + 1;
}

static void rise(struct pqueue *q, size_t i)
{
    struct pq_node *n = q->nodes[i];
    for (; i > 0 && before(n, q->nodes[(i - 1) / 2]); i = (i - 1) / 2)
        place(q, i, q->nodes[(i - 1) / 2]);
    place(q, i, n);
}

static void sink(struct pqueue *q, size_t i)
{
    struct pq_node *n = q->nodes[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->count)
            break;
        if (child + 1 < q->count && before(q->nodes[child + 1], q->nodes[child]))
            child++;
        if (!before(q->nodes[child], n))
            break;
        place(q, i, q->nodes[child]);
        i = child;
    }
    place(q, i, n);
}

static void grow(struct pqueue *q)
{
    size_t room = q->room ? 2 * q->room : 16;
    struct pq_node **nodes = realloc(q->nodes, room * sizeof *nodes);
    if (!nodes)
        bug("no memory");
    q->nodes = nodes;
    q->room = room;
}

void pqueue_put(struct pqueue *q, struct pq_node *n, int64_t key, int64_t tie)
{
    if (n->at) {
        need(n->at <= q->count && q->nodes[n->at - 1] == n);
    } else {
        if (q->count == q->room)
            grow(q);
        place(q, q->count++, n);
    }
    n->key = key;
    n->tie = tie;
    rise(q, n->at - 1);
    sink(q, n->at - 1);
}

void pqueue_remove(struct pqueue *q, struct pq_node *n)
{
    if (!n->at)
        return;
    size_t i = n->at - 1;
    need(i < q->count && q->nodes[i] == n);
    n->at = 0;
    struct pq_node *last = q->nodes[--q->count];
    if (last == n)
        return;
    place(q, i, last);
    rise(q, i);
    sink(q, last->at - 1);
}

struct pq_node *pqueue_top(const struct pqueue *q)
{
    return q->count ? q->nodes[0] : NULL;
}

void pqueue_free(struct pqueue *q)
{
    for (size_t i = 0; i < q->count; i++)
        q->nodes[i]->at = 0;
    free(q->nodes);
    *q = (struct pqueue){0};
}
