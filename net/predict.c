/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usual TCP segment's way past lwIP's state machine, Van Jacobson's header prediction: on an
 * established connection the next bytes, their end, an acknowledgement, and nothing else. It does what
 * lwIP's tcp_input(), tcp_process() and tcp_receive() do with such a segment; whatever else arrives,
 * or while a loss is being made up for, is left to those.
 */
#include "internal.h"
#include "core/tcp_in.c" /* for tcp_free_acked_segments() and others that are private to it */

/* The rest of this file, lwIP's, is for handshakes and trouble: compiled for size. */
#define FAST __attribute__((optimize("O2")))

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
static inline void take_window(struct tcp_pcb *pcb, uint32_t window)
{
	if (TCP_SEQ_LT(pcb->snd_wl1, pcb->rcv_nxt) || TCP_SEQ_LT(pcb->snd_wl2, ackno) ||
	    (pcb->snd_wl2 == ackno && window > pcb->snd_wnd)) {
		pcb->snd_wnd = window;
		pcb->snd_wnd_max = LWIP_MAX(pcb->snd_wnd_max, window);
		pcb->snd_wl1 = pcb->rcv_nxt;
		pcb->snd_wl2 = ackno;
	}
}

/* RFC 3465: slow start, congestion avoidance. */
static inline void open_congestion_window(struct tcp_pcb *pcb, uint32_t acked)
{
	if (pcb->cwnd < pcb->ssthresh) {
		TCP_WND_INC(pcb->cwnd, LWIP_MIN(acked, 2u * pcb->mss));
		return;
	}
	TCP_WND_INC(pcb->bytes_acked, acked);
	if (pcb->bytes_acked >= pcb->cwnd) {
		pcb->bytes_acked -= pcb->cwnd;
		TCP_WND_INC(pcb->cwnd, pcb->mss);
	}
}

/* RFC 6298, as lwIP keeps it: the mean times 8, the deviation times 4. */
static inline void measure_round_trip(struct tcp_pcb *pcb)
{
	int16_t off = (int16_t)(tcp_ticks - pcb->rttest - (uint32_t)(pcb->sa >> 3));

	pcb->sa += off;
	pcb->sv += (int16_t)((off < 0 ? -off : off) - (pcb->sv >> 2));
	pcb->rto = (int16_t)((pcb->sa >> 3) + pcb->sv);
	pcb->rttest = 0;
}

static inline void take_ack(struct tcp_pcb *pcb)
{
	uint32_t acked = ackno - pcb->lastack;

	if (!acked)
		return;
	pcb->nrtx = pcb->dupacks = 0;
	pcb->rto = (int16_t)((pcb->sa >> 3) + pcb->sv);
	pcb->lastack = ackno;
	open_congestion_window(pcb, acked);
	pcb->unacked = tcp_free_acked_segments(pcb, pcb->unacked, "unacked", pcb->unsent);
	if (pcb->unsent) /* sent once, and lost as it seemed */
		pcb->unsent = tcp_free_acked_segments(pcb, pcb->unsent, "unsent", pcb->unacked);
	if (!pcb->unsent)
		pcb->unsent_oversize = 0;
	if (pcb->unacked || pcb->unsent)
		recv_acked += net_segment_acked(pcb, ackno);
	pcb->rtime = pcb->unacked ? 0 : -1;
	pcb->polltmr = 0;
	pcb->snd_buf += recv_acked;
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

/* These return whether there still is a connection. */

static bool tell_sent(struct tcp_pcb *pcb)
{
	err_t err;

	for (uint32_t left = recv_acked, n; left; left -= n) {
		n = LWIP_MIN(left, UINT16_MAX);
		TCP_EVENT_SENT(pcb, (u16_t)n, err);
		if (err == ERR_ABRT)
			return false;
	}
	return !tcp_input_delayed_close(pcb);
}

/* p is the app's from now on. */
static bool tell_received(struct tcp_pcb *pcb, struct pbuf *p)
{
	err_t err;

	if (pcb->flags & TF_RXCLOSED) { /* just now: what comes after is answered by a reset */
		pbuf_free(p);
		tcp_abort(pcb);
		return false;
	}
	TCP_EVENT_RECV(pcb, p, ERR_OK, err);
	if (err != ERR_OK && err != ERR_ABRT)
		pcb->refused_data = p;
	return err != ERR_ABRT;
}

static bool tell_end(struct tcp_pcb *pcb)
{
	err_t err;

	if (pcb->refused_data) {
		pcb->refused_data->flags |= PBUF_FLAG_TCP_FIN;
		return true;
	}
	if (pcb->rcv_wnd != TCP_WND_MAX(pcb)) /* nobody will confirm the FIN */
		pcb->rcv_wnd++;
	TCP_EVENT_CLOSED(pcb, err);
	return err != ERR_ABRT;
}

static inline bool tell(struct tcp_pcb *pcb, struct pbuf *p, bool end)
{
	bool connected = tell_sent(pcb);

	if (connected && p->tot_len)
		connected = tell_received(pcb, p);
	else
		pbuf_free(p);
	if (connected && end)
		connected = tell_end(pcb);
	tcp_input_pcb = NULL;
	return connected && !tcp_input_delayed_close(pcb);
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
	recv_flags = 0;
	tcp_input_pcb = pcb;
	pcb->keep_cnt_sent = pcb->persist_probe = 0;
	if (!(pcb->flags & TF_RXCLOSED))
		pcb->tmr = tcp_ticks;
	take_window(pcb, SND_WND_SCALE(pcb, lwip_ntohs(tcp->wnd)));
	take_ack(pcb);
	if (pcb->state == ESTABLISHED)
		take_bytes(pcb, length, end);
	else if (ackno == pcb->snd_nxt && !pcb->unsent)
		recv_flags = TF_CLOSED;
	p->payload = (char *)p->payload + TCP_HLEN;
	p->len -= TCP_HLEN;
	p->tot_len -= TCP_HLEN;
	if (tell(pcb, p, end) && (pcb->unsent || (pcb->flags & (TF_ACK_NOW | TF_NAGLEMEMERR))))
		tcp_output(pcb);
	return true;
}
