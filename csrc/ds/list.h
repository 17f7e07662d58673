/* An intrusive doubly linked list with a sentinel head. */
#ifndef PYAIO_DS_LIST_H
#define PYAIO_DS_LIST_H

#include <stddef.h>

typedef struct PyaioLink {
    struct PyaioLink *prev; /* NULL while outside every list */
    struct PyaioLink *next;
} PyaioLink;

#define PYAIO_CONTAINER_OF(link, type, member) \
    ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void
pyaio_list_init(PyaioLink *head)
{
    head->prev = head->next = head;
}

static inline void
pyaio_list_append(PyaioLink *head, PyaioLink *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Safe on a link that is in no list. */
static inline void
pyaio_list_remove(PyaioLink *link)
{
    if (link->prev != NULL) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->prev = link->next = NULL;
    }
}

#endif
