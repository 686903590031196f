/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large TCP segments: several times the peer's MSS, handed down as one where the device cuts them up
 * (TCP segmentation offload). lwip.patch calls this.
 *
 * In lwIP's queues a large segment has its header in a pbuf of its own, so that it can be cut in two
 * without touching its bytes, which the parts share. So it is cut to what the windows allow before it
 * is sent, and to one MSS before that is sent again: windows, Nagle's algorithm and retransmission know
 * of nothing larger than the peer's MSS, and a device that cannot cut never sees a large one.
 */
#include <string.h>
#include "internal.h"
#include "lwip/ip.h"
#include "lwip/mem.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"

/* The longest IP packet, 65535 bytes, less the longest IP and TCP headers. */
#define LARGE_BYTES_MAX (UINT16_MAX - 60 - 60)
/* A peer with a tiny MSS must not make the device's work for a frame any larger than that. */
#define LARGE_PIECES_MAX 64

/* A part of another pbuf's bytes, which holds that one. */
struct part {
	struct pbuf_custom custom; /* first */
	struct pbuf *whole;
};

static void part_freed(struct pbuf *p)
{
	struct part *part = (struct part *)p;
	struct pbuf *whole = part->whole;

	mem_free(part);
	pbuf_free(whole);
}

/* p from its byte `skip` on. Of the pbufs that are sent only parts are custom ones. */
static struct pbuf *part_new(struct pbuf *p, u16_t skip)
{
	struct part *part = mem_malloc(sizeof(*part));
	u16_t bytes = p->len - skip;

	if (!part)
		return NULL;
	part->whole = p->flags & PBUF_FLAG_IS_CUSTOM ? ((struct part *)p)->whole : p;
	pbuf_ref(part->whole);
	part->custom.custom_free_function = part_freed;
	return pbuf_alloced_custom(PBUF_RAW, bytes, PBUF_ROM, &part->custom,
	                           (char *)p->payload + skip, bytes);
}

/* How long a segment may be, a multiple of the peer's MSS: that alone where nobody cuts it up. */
static u16_t limit(const struct tcp_pcb *pcb, struct netif *netif)
{
	const struct port *port = netif ? port_of(netif) : NULL;
	bool v4 = IP_IS_V4(&pcb->remote_ip);
	u16_t headers = (v4 ? IP_HLEN : IP6_HLEN) + TCP_HLEN;

	if (!port || !(port->dev->features & (v4 ? NETDEV_TX_TSO4 : NETDEV_TX_TSO6)))
		return pcb->mss;
	/* IP must not have to fragment the pieces. */
	if (pcb->mss + headers >
	    (v4 ? netif->mtu : nd6_get_destination_mtu(ip_2_ip6(&pcb->remote_ip), netif)))
		return pcb->mss;
	return pcb->mss * LWIP_MIN(LARGE_BYTES_MAX / pcb->mss, LARGE_PIECES_MAX);
}

struct pbuf *net_segment_new(const struct tcp_pcb *pcb, struct netif *netif, const void *bytes,
                             uint16_t count)
{
	struct pbuf *header, *data = NULL;
	u16_t n = LWIP_MIN(count, limit(pcb, netif));

	if (n <= pcb->mss)
		return NULL;
	header = pbuf_alloc(PBUF_TRANSPORT, 0, PBUF_RAM);
	if (!header)
		return NULL;
	/* Where there is no memory for so much in one place, there may be for less. */
	while (n > pcb->mss && !(data = pbuf_alloc(PBUF_RAW, n, PBUF_RAM)))
		n = n / 2 - n / 2 % pcb->mss;
	if (!data) {
		pbuf_free(header);
		return NULL;
	}
	memcpy(data->payload, bytes, n);
	pbuf_cat(header, data);
	return header;
}

/* The first pbuf of seg in which its first count bytes end, and how many of them are in there. */
static struct pbuf *find_end(const struct tcp_seg *seg, u16_t *count)
{
	struct pbuf *p = seg->p->next;

	for (; *count > p->len; p = p->next)
		*count -= p->len;
	return p;
}

/* What follows in p after its first `keep` bytes, as another chain; NULL: no memory. */
static struct pbuf *rest_of(struct tcp_pcb *pcb, struct pbuf *p, u16_t keep)
{
	struct pbuf *part;

	if (keep == p->len)
		return p->next;
	part = part_new(p, keep);
	if (!part)
		return NULL;
	part->next = p->next;
	part->tot_len = p->tot_len - keep;
	pcb->snd_queuelen++;
	return part;
}

/* p and what is before it in seg ends after `keep` bytes of p. */
static void end_after(struct tcp_seg *seg, struct pbuf *p, u16_t keep)
{
	u16_t gone = p->tot_len - keep;

	for (struct pbuf *q = seg->p; q != p; q = q->next)
		q->tot_len -= gone;
	p->len = p->tot_len = keep;
	p->next = NULL;
}

/* What follows the first `keep` bytes of seg, which is large, goes to header. False: no memory. */
static bool move_rest(struct tcp_pcb *pcb, struct tcp_seg *seg, u16_t keep, struct pbuf *header)
{
	struct pbuf *last = find_end(seg, &keep), *data = rest_of(pcb, last, keep);

	if (!data)
		return false;
	end_after(seg, last, keep);
	pbuf_cat(header, data);
	return true;
}

/* An ordinary segment's bytes are behind its header, and are copied. */
static void copy_rest(struct tcp_pcb *pcb, struct tcp_seg *seg, u16_t left, void *to)
{
	pbuf_copy_partial(seg->p, to, left, seg->p->tot_len - left);
	pcb->snd_queuelen -= pbuf_clen(seg->p);
	pbuf_realloc(seg->p, seg->p->tot_len - left);
	pcb->snd_queuelen += pbuf_clen(seg->p);
}

err_t net_segment_cut(struct tcp_pcb *pcb, struct tcp_seg *seg, uint16_t count)
{
	u8_t at_end = TCPH_FLAGS(seg->tcphdr) & (TCP_PSH | TCP_FIN);
	bool moved = seg->flags & TF_SEG_LARGE;
	u16_t left = seg->len - count;
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, moved ? 0 : left, PBUF_RAM);
	struct tcp_seg *rest;

	if (!p)
		return ERR_MEM;
	rest =
	    tcp_create_segment(pcb, p, at_end, lwip_ntohl(seg->tcphdr->seqno) + count, seg->flags);
	if (!rest)
		return ERR_MEM;
	if (!moved) {
		copy_rest(pcb, seg, left, rest->tcphdr + 1);
	} else if (!move_rest(pcb, seg, count, p)) {
		tcp_seg_free(rest);
		return ERR_MEM;
	}
	TCPH_UNSET_FLAG(seg->tcphdr, at_end);
	seg->len = count;
	rest->len = left;
	rest->next = seg->next;
	seg->next = rest;
	pcb->snd_queuelen++;
	if (!rest->next)
		pcb->unsent_oversize = 0; /* what was free behind its bytes is not its own */
	return ERR_OK;
}

err_t net_segment_probe(struct tcp_pcb *pcb)
{
	/* The peer may have some of it: bytes were appended to what was to be sent again. */
	u32_t acked = pcb->lastack - lwip_ntohl(pcb->unsent->tcphdr->seqno);
	u16_t most = (u16_t)LWIP_MIN(acked + pcb->snd_wnd, pcb->mss);

	return pcb->unsent->len > most ? net_segment_cut(pcb, pcb->unsent, most) : ERR_OK;
}

/* Shorten seg by what the peer has of it. A frame that the device still has is left as it is. */
static uint32_t trim(struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t ackno)
{
	u32_t seqno = lwip_ntohl(seg->tcphdr->seqno), count = ackno - seqno, left = count;
	struct pbuf *header = seg->p, *p;

	if (!(seg->flags & TF_SEG_LARGE) || header->ref != 1 || TCP_SEQ_LEQ(ackno, seqno) ||
	    count >= seg->len)
		return 0;
	while ((p = header->next)->len <= left) {
		left -= p->len;
		header->next = p->next;
		p->next = NULL;
		pbuf_free(p);
		pcb->snd_queuelen--;
	}
	pbuf_remove_header(p, left);
	header->tot_len -= (u16_t)count;
	seg->len -= (u16_t)count;
	seg->tcphdr->seqno = lwip_htonl(ackno);
	return count;
}

err_t net_segment_first(struct tcp_pcb *pcb, struct tcp_seg *seg)
{
	pcb->snd_buf += trim(pcb, seg, pcb->lastack);
	return tcp_seg_is_large(pcb, seg) ? net_segment_cut(pcb, seg, pcb->mss) : ERR_OK;
}

/*
 * Of seg, when it is the last one: Nagle's algorithm would hold back what is less than a whole MSS, as
 * the rest is on its way by then (see tcp_do_output_nagle()).
 */
static u16_t held_by_nagle(const struct tcp_pcb *pcb, const struct tcp_seg *seg)
{
	if (seg->next || (pcb->flags & (TF_NODELAY | TF_INFR | TF_NAGLEMEMERR | TF_FIN)) ||
	    tcp_sndbuf(pcb) == 0 || tcp_sndqueuelen(pcb) >= TCP_SND_QUEUELEN)
		return 0;
	return seg->len % pcb->mss;
}

err_t net_segment_fit(struct tcp_pcb *pcb, struct netif *netif, uint32_t window)
{
	struct tcp_seg *seg = pcb->unsent;
	u16_t most, count;
	int32_t used;
	u32_t room;

	pcb->snd_buf += trim(pcb, seg, pcb->lastack);
	/* Negative if its bytes are all acknowledged, and only its FIN is not. */
	used = (int32_t)(lwip_ntohl(seg->tcphdr->seqno) - pcb->lastack);
	room = (uint32_t)LWIP_MAX((int32_t)window - used, 0);
	most = (u16_t)LWIP_MIN(room, limit(pcb, netif));
	count = seg->len - held_by_nagle(pcb, seg);
	if (count > most)
		count = most - most % pcb->mss;
	/* When not even one MSS fits, it waits like any other that does not. */
	if (count == 0 || count == seg->len || net_segment_cut(pcb, seg, count) == ERR_OK)
		return ERR_OK;
	tcp_set_flags(pcb, TF_NAGLEMEMERR);
	if (pcb->rtime < 0)
		pcb->rtime = 0; /* try again as if it had been lost */
	return ERR_MEM;
}

uint32_t net_segment_acked(struct tcp_pcb *pcb, uint32_t ackno)
{
	return (pcb->unacked ? trim(pcb, pcb->unacked, ackno) : 0) +
	       (pcb->unsent ? trim(pcb, pcb->unsent, ackno) : 0);
}
