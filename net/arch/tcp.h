/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lwIP's TCP does by macros at several places each, as functions (predict.c). Included at the end
 * of lwip/priv/tcp_priv.h (net/lwip.patch).
 */
#ifndef ARCH_TCP_H
#define ARCH_TCP_H

/* --- Lists of connections ------------------------------------------------------------------------ */

#undef TCP_REG
#define TCP_REG(list, pcb) net_tcp_enlist(list, pcb)
#undef TCP_RMV
#define TCP_RMV(list, pcb) net_tcp_delist(list, pcb)
void net_tcp_enlist(struct tcp_pcb **list, struct tcp_pcb *pcb);
void net_tcp_delist(struct tcp_pcb **list, struct tcp_pcb *pcb);
/* What is left of a connection that both ends have closed. */
void net_tcp_linger(struct tcp_pcb *pcb);

/* Tell the peer that it is gone. */
void net_tcp_rst(const struct tcp_pcb *pcb);

/* --- Callbacks ------------------------------------------------------------------------------- */

#undef TCP_EVENT_RECV
#define TCP_EVENT_RECV(pcb, p, error, result) ((result) = net_tcp_receive(pcb, p))
#undef TCP_EVENT_CLOSED
#define TCP_EVENT_CLOSED(pcb, result) ((result) = net_tcp_receive(pcb, NULL))
/* p: NULL at the end. Returns what the app does. */
err_t net_tcp_receive(struct tcp_pcb *pcb, struct pbuf *p);
/* The peer's FIN is next. The same. */
err_t net_tcp_receive_end(struct tcp_pcb *pcb);

/* --- Sizes ----------------------------------------------------------------------------------- */

#undef tcp_eff_send_mss
#define tcp_eff_send_mss(mss, from, to) net_tcp_mss(mss, from, to)
/* Of a segment's options: most have none. */
#undef LWIP_TCP_OPT_LENGTH
#define LWIP_TCP_OPT_LENGTH(flags) ((flags) ? net_tcp_option_bytes(flags) : 0)
u8_t net_tcp_option_bytes(u8_t flags);
u16_t net_tcp_mss(u16_t mss, const ip_addr_t *from, const ip_addr_t *to);

#endif
