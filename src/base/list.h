/* list.h - intrusive doubly linked lists. A node lives inside the object it links. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    /* a head that points at itself is empty; NULL = not on any list */
    struct list *next, *prev;
};

#define LIST_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}
static inline bool list_on(const struct list *node)
{
    return node->next != NULL;
}
static inline void list_add_before(struct list *place, struct list *node)
{
    node->prev = place->prev;
    node->next = place;
    place->prev->next = node;
    place->prev = node;
}
static inline void list_add(struct list *head, struct list *node) /* at the end */
{
    list_add_before(head, node);
}
static inline void list_remove(struct list *node) /* fine when it is on no list */
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}
/* Safe against removal of the current node. */
#define list_each(head, at, after)                                                             \
    for (struct list *at = (head)->next, *after = at->next; at != (head);                      \
         at = after, after = at->next)
