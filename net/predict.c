/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usual TCP segment's way past lwIP's state machine, Van Jacobson's header prediction: on an
 * established connection the next bytes, their end, an acknowledgement, and nothing else. It does what
 * lwIP's tcp_input(), tcp_process() and tcp_receive() do with such a segment; whatever else arrives,
 * or while a loss is being made up for, is left to those.
 *
 * They share what an acknowledgement means and how the app is told. Options, SACK blocks and segments
 * out of order, which lwIP takes more code for, are here, too.
 */
#include "internal.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

/* What lwIP's own way shares with this one (net/lwip.patch). */
static inline void take_window(struct tcp_pcb *pcb, uint32_t seq, uint32_t window);
static bool recover(struct tcp_pcb *pcb);
static void take_ack(struct tcp_pcb *pcb);
static bool tell(struct tcp_pcb *pcb);
static void reset_sender(const struct tcp_pcb *pcb);
static void tcp_parseopt(struct tcp_pcb *pcb);
static void tcp_add_sack(struct tcp_pcb *pcb, uint32_t left, uint32_t right);
static void clip_sacks(struct tcp_pcb *pcb, uint32_t from, uint32_t to);
static void fit_window(const struct tcp_pcb *pcb, struct tcp_seg *seg);
static void queue_segment(struct tcp_pcb *pcb);

/* Of an incoming segment: at many places, which it makes shorter. */
#undef TCP_TCPLEN
#define TCP_TCPLEN(seg) sequence_length(seg)
static __attribute__((noinline)) uint16_t sequence_length(const struct tcp_seg *seg)
{
	return seg->len + !!(TCPH_FLAGS(seg->tcphdr) & (TCP_FIN | TCP_SYN));
}

static __attribute__((noinline)) u8_t tcp_get_next_optbyte(void);
#include "core/tcp_in.c" /* for tcp_free_acked_segments() and others that are private to it */

/* A header of 20 bytes with ACK, perhaps PSH and FIN. */
#define USUAL_MASK PP_HTONS(0xf000 | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG)
#define USUAL      PP_HTONS(0x5000 | TCP_ACK)

static inline struct tcp_pcb *connection_of(const struct tcp_hdr *tcp, const struct ip_hdr *ip)
{
	uint16_t port = lwip_ntohs(tcp->src);
	struct tcp_pcb *pcb = net_tcp_recent(port);
	bool is_it =
	    pcb && (pcb->state == ESTABLISHED || pcb->state == LAST_ACK) &&
	    pcb->remote_port == port && pcb->local_port == lwip_ntohs(tcp->dest) &&
	    IP_IS_V4_VAL(pcb->remote_ip) && ip_2_ip4(&pcb->remote_ip)->addr == ip->src.addr &&
	    ip_2_ip4(&pcb->local_ip)->addr == ip->dest.addr && pcb->netif_idx == NETIF_NO_INDEX;

	return is_it ? pcb : NULL;
}

/* length: in sequence numbers. A connection that both ends have closed takes acknowledgements only. */
static inline bool is_expected(const struct tcp_pcb *pcb, const struct tcp_hdr *tcp,
                               uint32_t length)
{
	uint32_t acked = lwip_ntohl(tcp->ackno) - pcb->lastack;

	return lwip_ntohl(tcp->seqno) == pcb->rcv_nxt && length <= pcb->rcv_wnd &&
	       acked <= pcb->snd_nxt - pcb->lastack && (length || acked) && !pcb->ooseq &&
	       !pcb->refused_data && !LWIP_TCP_SACK_VALID(pcb, 0) &&
	       !(pcb->flags & (TF_INFR | TF_RTO)) &&
	       (pcb->state == ESTABLISHED ? !(pcb->flags & TF_RXCLOSED) : !length);
}

/* RFC 9293, section 3.10.7.4: a segment that is not older than the one that told it last. */
static inline void take_window(struct tcp_pcb *pcb, uint32_t seq, uint32_t window)
{
	if (TCP_SEQ_LT(pcb->snd_wl1, seq) ||
	    (pcb->snd_wl1 == seq && TCP_SEQ_LT(pcb->snd_wl2, ackno)) ||
	    (pcb->snd_wl2 == ackno && window > pcb->snd_wnd)) {
		pcb->snd_wnd = window;
		pcb->snd_wnd_max = LWIP_MAX(pcb->snd_wnd_max, window);
		pcb->snd_wl1 = seq;
		pcb->snd_wl2 = ackno;
	}
}

/* RFC 3465: slow start, by one segment at a time after a timeout; congestion avoidance. */
static inline void open_congestion_window(struct tcp_pcb *pcb, uint32_t acked)
{
	if (pcb->cwnd < pcb->ssthresh) {
		uint32_t most = (pcb->flags & TF_RTO ? 1u : 2u) * pcb->mss;

		TCP_WND_INC(pcb->cwnd, LWIP_MIN(acked, most));
		return;
	}
	TCP_WND_INC(pcb->bytes_acked, acked);
	if (pcb->bytes_acked >= pcb->cwnd) {
		pcb->bytes_acked -= pcb->cwnd;
		TCP_WND_INC(pcb->cwnd, pcb->mss);
	}
}

static inline int16_t retransmission_timeout(const struct tcp_pcb *pcb)
{
	return (int16_t)LWIP_MIN((pcb->sa >> 3) + pcb->sv, NET_TCP_RTO_MAX);
}

/* RFC 6298, as lwIP keeps it: the mean times 8, the deviation times 4. */
static inline void measure_round_trip(struct tcp_pcb *pcb)
{
	int off = (int)LWIP_MIN(tcp_ticks - pcb->rttest, NET_TCP_RTO_MAX) - (pcb->sa >> 3);

	pcb->sa += off;
	pcb->sv += abs(off) - (pcb->sv >> 2);
	pcb->rto = retransmission_timeout(pcb);
	pcb->rttest = 0;
}

/* All that was sent before a timeout has been acknowledged, or is not to be sent again. */
static bool is_resent(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *first = pcb->unacked ? pcb->unacked : pcb->unsent;

	return !first || TCP_SEQ_LEQ(pcb->rto_end, lwip_ntohl(first->tcphdr->seqno));
}

/* ackno is beyond what was acknowledged, and not beyond what was sent. */
FAST static void take_ack(struct tcp_pcb *pcb)
{
	uint32_t acked = ackno - pcb->lastack;

	pcb->nrtx = 0;
	pcb->rto = retransmission_timeout(pcb);
	pcb->lastack = ackno;
	if (!(pcb->flags & TF_INFR)) {
		pcb->dupacks = 0;
		open_congestion_window(pcb, acked);
	}
	pcb->unacked = tcp_free_acked_segments(pcb, pcb->unacked, "unacked", pcb->unsent);
	if (pcb->unsent) /* sent once, and lost as it seemed */
		pcb->unsent = tcp_free_acked_segments(pcb, pcb->unsent, "unsent", pcb->unacked);
	if (pcb->unacked || pcb->unsent)
		recv_acked += net_segment_acked(pcb, ackno);
	/* What waited for room to be sent again may have arrived the first time. */
	if (!pcb->unsent)
		pcb->unsent_oversize = pcb->persist_backoff = 0;
	pcb->rtime = pcb->unacked ? 0 : -1;
	pcb->polltmr = 0;
	pcb->snd_buf += recv_acked;
	if ((pcb->flags & TF_RTO) && is_resent(pcb))
		tcp_clear_flags(pcb, TF_RTO);
	if (pcb->rttest && TCP_SEQ_LT(pcb->rtseq, ackno))
		measure_round_trip(pcb);
}

static inline void take_bytes(struct tcp_pcb *pcb, uint32_t length, bool end)
{
	if (end)
		pcb->state = CLOSE_WAIT;
	if (!length)
		return;
	pcb->rcv_nxt += length;
	pcb->rcv_wnd -= length;
	tcp_update_rcv_ann_wnd(pcb);
	tcp_ack(pcb);
}

/* --- What the app is told: these return whether there still is a connection. ---------------------- */

static inline __attribute__((always_inline)) bool is_closed(struct tcp_pcb *pcb)
{
	return (recv_flags & TF_CLOSED) && tcp_input_delayed_close(pcb);
}

static bool tell_sent(struct tcp_pcb *pcb)
{
	err_t err;

	for (uint32_t left = recv_acked, n; left; left -= n) {
		n = LWIP_MIN(left, UINT16_MAX);
		TCP_EVENT_SENT(pcb, (u16_t)n, err);
		if (err == ERR_ABRT)
			return false;
	}
	return !is_closed(pcb);
}

static inline __attribute__((always_inline)) err_t receive(struct tcp_pcb *pcb, struct pbuf *p)
{
	if (pcb->recv)
		return pcb->recv(pcb->callback_arg, pcb, p, ERR_OK);
	return p ? tcp_recv_null(NULL, pcb, p, ERR_OK) : ERR_OK;
}

err_t net_tcp_receive(struct tcp_pcb *pcb, struct pbuf *p)
{
	return receive(pcb, p);
}

/* In pieces whose length fits into 16 bits: what came out of order before may make it longer. */
static bool tell_received(struct tcp_pcb *pcb)
{
	struct pbuf *p;
	err_t err;

	while ((p = recv_data) != NULL) {
		LWIP_ASSERT("what was refused comes first", !pcb->refused_data);
		if (pcb->flags & TF_RXCLOSED) { /* what comes after is answered by a reset */
			tcp_abort(pcb);
			return false;
		}
		recv_data = NULL;
		if (p->next)
			pbuf_split_64k(p, &recv_data);
		err = receive(pcb, p);
		if (err == ERR_ABRT)
			return false;
		if (err != ERR_OK) {
			if (recv_data)
				pbuf_cat(p, recv_data);
			recv_data = NULL;
			pcb->refused_data = p;
		}
	}
	return true;
}

err_t net_tcp_receive_end(struct tcp_pcb *pcb)
{
	if (pcb->rcv_wnd != TCP_WND_MAX(pcb)) /* nobody will confirm the FIN */
		pcb->rcv_wnd++;
	return net_tcp_receive(pcb, NULL);
}

static bool tell_end(struct tcp_pcb *pcb)
{
	if (!(recv_flags & TF_GOT_FIN))
		return true;
	if (pcb->refused_data) {
		pcb->refused_data->flags |= PBUF_FLAG_TCP_FIN;
		return true;
	}
	return net_tcp_receive_end(pcb) != ERR_ABRT;
}

FAST static bool tell(struct tcp_pcb *pcb)
{
	bool connected = tell_sent(pcb) && tell_received(pcb) && tell_end(pcb);

	if (recv_data) {
		pbuf_free(recv_data);
		recv_data = NULL;
	}
	tcp_input_pcb = NULL;
	return connected && !is_closed(pcb);
}

FAST bool predicted_input(struct pbuf *p, struct netif *netif, const struct ip_hdr *ip)
{
	const struct tcp_hdr *tcp = p->payload;
	struct tcp_pcb *pcb;
	uint32_t length;
	bool end;

	if (p->len < TCP_HLEN || (tcp->_hdrlen_rsvd_flags & USUAL_MASK) != USUAL)
		return false;
	end = tcp->_hdrlen_rsvd_flags & PP_HTONS(TCP_FIN);
	length = p->tot_len - (uint32_t)TCP_HLEN + end;
	pcb = connection_of(tcp, ip);
	if (!pcb || !is_expected(pcb, tcp, length))
		return false;
	if ((netif->chksum_flags & NETIF_CHECKSUM_CHECK_TCP) &&
	    ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, &pcb->remote_ip, &pcb->local_ip) != 0)
		return false;
	TCP_STATS_INC(tcp.recv);
	ackno = lwip_ntohl(tcp->ackno);
	recv_acked = 0;
	recv_flags = end ? TF_GOT_FIN : 0;
	tcp_input_pcb = pcb;
	pcb->keep_cnt_sent = pcb->persist_probe = 0;
	if (!(pcb->flags & TF_RXCLOSED))
		pcb->tmr = tcp_ticks;
	take_window(pcb, pcb->rcv_nxt, SND_WND_SCALE(pcb, lwip_ntohs(tcp->wnd)));
	if (ackno != pcb->lastack)
		take_ack(pcb);
	if (pcb->state == ESTABLISHED)
		take_bytes(pcb, length, end);
	else if (ackno == pcb->snd_nxt && !pcb->unsent)
		recv_flags |= TF_CLOSED;
	p->payload = (char *)p->payload + TCP_HLEN;
	p->len -= TCP_HLEN;
	p->tot_len -= TCP_HLEN;
	if (p->tot_len)
		recv_data = p;
	else
		pbuf_free(p);
	if (tell(pcb) && (pcb->unsent || (pcb->flags & (TF_ACK_NOW | TF_NAGLEMEMERR))))
		tcp_output(pcb);
	return true;
}

/* --- The same for lwIP's own way ------------------------------------------------------------------ */

/* RFC 6582: of what was sent before fast recovery, some has been acknowledged; or all, which ends it. */
static bool recover(struct tcp_pcb *pcb)
{
	uint32_t acked = ackno - pcb->lastack;

	if (TCP_SEQ_LT(ackno, pcb->recover)) {
		pcb->cwnd -= LWIP_MIN(acked, pcb->cwnd - pcb->mss);
		if (acked >= pcb->mss)
			TCP_WND_INC(pcb->cwnd, pcb->mss);
		return true;
	}
	tcp_clear_flags(pcb, TF_INFR);
	pcb->cwnd = pcb->ssthresh;
	pcb->bytes_acked = 0;
	return false;
}

static void scale_windows(struct tcp_pcb *pcb, uint8_t shift)
{
	if (pcb->flags & TF_WND_SCALE) /* the SYN came again */
		return;
	tcp_set_flags(pcb, TF_WND_SCALE);
	pcb->snd_scale = LWIP_MIN(shift, 14);
	pcb->rcv_scale = TCP_RCV_SCALE;
	LWIP_ASSERT("window not at default value", pcb->rcv_wnd == TCPWND_MIN16(TCP_WND));
	LWIP_ASSERT("window not at default value", pcb->rcv_ann_wnd == TCPWND_MIN16(TCP_WND));
	pcb->rcv_wnd = pcb->rcv_ann_wnd = TCP_WND;
}

static bool is_well_formed(uint8_t kind, uint8_t bytes)
{
	if (tcp_optidx - 2 + bytes > tcphdr_optlen)
		return false;
	switch (kind) {
	case LWIP_TCP_OPT_MSS:
		return bytes == LWIP_TCP_OPT_LEN_MSS;
	case LWIP_TCP_OPT_WS:
		return bytes == LWIP_TCP_OPT_LEN_WS;
	case LWIP_TCP_OPT_SACK_PERM:
		return bytes == LWIP_TCP_OPT_LEN_SACK_PERM;
	}
	return bytes >= 2;
}

/* A SYN's: those of other segments say nothing that we would act on. */
static void tcp_parseopt(struct tcp_pcb *pcb)
{
	for (tcp_optidx = 0; tcp_optidx < tcphdr_optlen;) {
		uint8_t kind = tcp_get_next_optbyte(), bytes;
		uint32_t value = 0;

		if (kind == LWIP_TCP_OPT_NOP)
			continue;
		if (kind == LWIP_TCP_OPT_EOL || tcp_optidx == tcphdr_optlen)
			return;
		bytes = tcp_get_next_optbyte();
		if (!is_well_formed(kind, bytes))
			return;
		for (; bytes > 2; bytes--)
			value = value << 8 | tcp_get_next_optbyte();
		if (kind == LWIP_TCP_OPT_MSS)
			pcb->mss = value ? (uint16_t)LWIP_MIN(value, TCP_MSS) : TCP_MSS;
		else if (kind == LWIP_TCP_OPT_WS)
			scale_windows(pcb, (uint8_t)value);
		else if (kind == LWIP_TCP_OPT_SACK_PERM)
			tcp_set_flags(pcb, TF_SACK);
	}
}

/* --- SACK, RFC 2018, section 4: the block that changed last is the first --------------------------- */

static void keep_sacks(struct tcp_pcb *pcb, const struct tcp_sack_range *end)
{
	for (struct tcp_sack_range *s = pcb->rcv_sacks; s < pcb->rcv_sacks + LWIP_TCP_MAX_SACK_NUM;
	     s++) {
		if (s >= end)
			*s = (struct tcp_sack_range){0};
	}
}

static void tcp_add_sack(struct tcp_pcb *pcb, uint32_t left, uint32_t right)
{
	struct tcp_sack_range *to = pcb->rcv_sacks, next = {left, right};

	if (!(pcb->flags & TF_SACK) || !TCP_SEQ_LT(left, right))
		return;
	for (int i = 0; i < LWIP_TCP_MAX_SACK_NUM; i++) {
		struct tcp_sack_range r = pcb->rcv_sacks[i];

		if (r.left == r.right || (TCP_SEQ_GT(r.right, left) && TCP_SEQ_GT(right, r.left)))
			continue;
		*to++ = next;
		next = r;
	}
	if (to < pcb->rcv_sacks + LWIP_TCP_MAX_SACK_NUM)
		*to++ = next;
	keep_sacks(pcb, to);
}

/* Tell of nothing but what is between these. */
static void clip_sacks(struct tcp_pcb *pcb, uint32_t from, uint32_t to)
{
	struct tcp_sack_range *end = pcb->rcv_sacks;

	for (int i = 0; i < LWIP_TCP_MAX_SACK_NUM; i++) {
		struct tcp_sack_range r = pcb->rcv_sacks[i];

		if (r.left == r.right)
			break;
		if (TCP_SEQ_LT(r.left, from))
			r.left = from;
		if (TCP_SEQ_GT(r.right, to))
			r.right = to;
		if (TCP_SEQ_LT(r.left, r.right))
			*end++ = r;
	}
	keep_sacks(pcb, end);
}

/* --- Segments after a lost one ------------------------------------------------------------------- */

/* Without what is beyond the window. */
static void fit_window(const struct tcp_pcb *pcb, struct tcp_seg *seg)
{
	uint32_t room = pcb->rcv_nxt + pcb->rcv_wnd - seg->tcphdr->seqno;

	if (TCP_TCPLEN(seg) <= room)
		return;
	TCPH_UNSET_FLAG(seg->tcphdr, TCP_FIN);
	seg->len = (uint16_t)room;
	pbuf_realloc(seg->p, seg->len);
}

/* Is all of inseg in the one that begins before it, or in the one that begins where it does? */
static bool is_queued(const struct tcp_seg *before, const struct tcp_seg *after)
{
	if (before && ((TCPH_FLAGS(before->tcphdr) & TCP_FIN) ||
	               TCP_SEQ_GEQ(before->tcphdr->seqno + before->len, seqno + tcplen)))
		return true;
	return after && after->tcphdr->seqno == seqno && tcplen <= TCP_TCPLEN(after);
}

/* The block of what is there that has inseg in it. */
static void tell_block(struct tcp_pcb *pcb)
{
	uint32_t left = 0, right = 0;
	bool found = false;

	for (const struct tcp_seg *s = pcb->ooseq; s; s = s->next) {
		uint32_t start = s->tcphdr->seqno;

		if (s == pcb->ooseq || start != right) {
			if (found)
				break;
			left = start;
		}
		right = start + s->len;
		found |= TCP_SEQ_LEQ(start, seqno) && TCP_SEQ_LT(seqno, right);
	}
	if (found)
		tcp_add_sack(pcb, left, right);
}

static void limit_queue(struct tcp_pcb *pcb)
{
	unsigned int left = TCP_OOSEQ_PBUFS_LIMIT(pcb);
	struct tcp_seg *s;

	for (struct tcp_seg **at = &pcb->ooseq; (s = *at) != NULL; at = &s->next) {
		unsigned int count = pbuf_clen(s->p);

		if (count > left) {
			clip_sacks(pcb, pcb->rcv_nxt, s->tcphdr->seqno);
			tcp_segs_free(s);
			*at = NULL;
			break;
		}
		left -= count;
	}
}

/* inseg, which is in the window, but not the next, into pcb->ooseq, which is in order. */
static void queue_segment(struct tcp_pcb *pcb)
{
	struct tcp_seg **at = &pcb->ooseq, *before = NULL, *after, *seg;

	while ((after = *at) != NULL && TCP_SEQ_LT(after->tcphdr->seqno, seqno)) {
		before = after;
		at = &after->next;
	}
	seg = is_queued(before, after) ? NULL : tcp_seg_copy(&inseg);
	if (seg) {
		if (before && TCP_SEQ_GT(before->tcphdr->seqno + before->len, seqno)) {
			before->len = (uint16_t)(seqno - before->tcphdr->seqno);
			pbuf_realloc(before->p, before->len);
		}
		tcp_oos_insert_segment(seg, after);
		*at = seg;
		fit_window(pcb, seg);
	}
	tell_block(pcb);
	limit_queue(pcb);
}

/* --- Connections ----------------------------------------------------------------------------- */

/* To the sender of a segment that has no place here. pcb: NULL, or whose it is. */
static __attribute__((noinline)) void reset_sender(const struct tcp_pcb *pcb)
{
	if (pcb)
		tcp_rst(pcb, ackno, seqno + tcplen, ip_current_dest_addr(), ip_current_src_addr(),
		        tcphdr->dest, tcphdr->src);
	else
		tcp_rst_netif(ip_data.current_input_netif, ackno, seqno + tcplen,
		              ip_current_dest_addr(), ip_current_src_addr(), tcphdr->dest,
		              tcphdr->src);
}

void net_tcp_rst(const struct tcp_pcb *pcb)
{
	tcp_rst(pcb, pcb->snd_nxt, pcb->rcv_nxt, &pcb->local_ip, &pcb->remote_ip, pcb->local_port,
	        pcb->remote_port);
}

void net_tcp_enlist(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	pcb->next = *list;
	*list = pcb;
}

void net_tcp_delist(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	for (; *list; list = &(*list)->next) {
		if (*list == pcb) {
			*list = pcb->next;
			break;
		}
	}
	pcb->next = NULL;
}

void net_tcp_linger(struct tcp_pcb *pcb)
{
	tcp_pcb_purge(pcb);
	TCP_RMV_ACTIVE(pcb);
	pcb->state = TIME_WAIT;
	TCP_REG(&tcp_tw_pcbs, pcb);
}

u8_t net_tcp_option_bytes(u8_t flags)
{
	unsigned int options =
	    flags & (TF_SEG_OPTS_MSS | TF_SEG_OPTS_WND_SCALE | TF_SEG_OPTS_SACK_PERM);

	return (u8_t)(4 * ((options & 1) + (options >> 3 & 1) + (options >> 4 & 1)));
}

u16_t net_tcp_mss(u16_t mss, const ip_addr_t *from, const ip_addr_t *to)
{
	return tcp_eff_send_mss_netif(mss, ip_route(from, to), to);
}
