/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive, circular, doubly linked list: the head is a link that belongs to no element. */
#ifndef PITH_LIST_H
#define PITH_LIST_H

#include <stdbool.h>
#include <pith/compiler.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}
#define list_for_each(pos, head) \
	for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* As list_for_each, but the body may remove pos (and only pos). */
#define list_for_each_safe(pos, head)                                                 \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); \
	     pos = pos##_next, pos##_next = pos->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Insert l before pos; with pos the head, that is at the tail. */
static inline void list_insert_before(struct list *pos, struct list *l)
{
	struct list *prev =
	    pos->prev; /* read once: the compiler cannot know that l is not in the list */

	l->prev = prev;
	l->next = pos;
	prev->next = l;
	pos->prev = l;
}

static inline void list_add_tail(struct list *head, struct list *l)
{
	list_insert_before(head, l);
}

static inline void list_add_head(struct list *head, struct list *l)
{
	list_insert_before(head->next, l);
}

/* Remove l and leave its links as they were: for what goes into another list next. */
static inline void list_unlink(struct list *l)
{
	struct list *prev = l->prev, *next = l->next;

	prev->next = next;
	next->prev = prev;
}

/* Remove l and leave it an empty list of its own, so that removing twice is harmless. */
static inline void list_remove(struct list *l)
{
	list_unlink(l);
	list_init(l);
}

#endif
