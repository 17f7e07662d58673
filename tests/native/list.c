/* The intrusive list against an array of what is in it. */
#include "check.h"
#include "ds/list.h"

#include <string.h>

#define ITEMS 60

typedef struct {
    int number;
    PyaioLink link;
} Item;

static Item items[ITEMS];
static Item *model[ITEMS];
static size_t length;

static void
compare(PyaioLink *head)
{
    PyaioLink *link = head;
    for (size_t i = 0; i < length; i++) {
        CHECK(link->next->prev == link);
        link = link->next;
        CHECK(PYAIO_CONTAINER_OF(link, Item, link) == model[i]);
    }
    CHECK(link->next == head && head->prev == link);
}

static void
model_remove(Item *item)
{
    for (size_t i = 0; i < length; i++) {
        if (model[i] == item) {
            length--;
            memmove(&model[i], &model[i + 1], (length - i) * sizeof(model[0]));
            return;
        }
    }
}

int
main(int argc, char **argv)
{
    long rounds = start(argc, argv);
    PyaioLink head;
    pyaio_list_init(&head);
    for (long round = 0; round < rounds; round++) {
        Item *item = &items[random_below(ITEMS)];
        if (item->link.prev == NULL && random_below(3) > 0) {
            pyaio_list_append(&head, &item->link);
            model[length++] = item;
        }
        else {
            pyaio_list_remove(&item->link); /* safe outside every list */
            model_remove(item);
            CHECK(item->link.prev == NULL && item->link.next == NULL);
        }
        compare(&head);
    }
    return 0;
}
