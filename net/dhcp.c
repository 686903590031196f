/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's DHCP, with one function for the five messages that ask for something (RFC 2131, section 4.3.6):
 * lwIP's five do nearly the same; and with a table of the options that are understood (net/lwip.patch
 * leaves lwIP's out). What the functions need is private
 * to lwIP's file: that is included here instead of being compiled on its own.
 */
#include "lwip/dhcp.h"
#include "lwip/prot/dhcp.h"

/* Once each, not at each place that calls them. */
#define ONCE __attribute__((noinline))
ONCE static void dhcp_set_state(struct dhcp *dhcp, u8_t state);
ONCE static u16_t dhcp_option_byte(u16_t used, u8_t *options, u8_t value);

static err_t dhcp_parse_reply(struct pbuf *p, struct dhcp *dhcp);

/* A time in ticks of the coarse timer, at least one. */
static ONCE dhcp_timeout_t ticks_of(u32_t seconds)
{
	u32_t ticks = (seconds + DHCP_COARSE_TIMER_SECS / 2) / DHCP_COARSE_TIMER_SECS;

	return (dhcp_timeout_t)LWIP_MAX(LWIP_MIN(ticks, 0xffff), 1);
}
#define DHCP_DEFINE_CUSTOM_TIMEOUTS
#define DHCP_SET_TIMEOUT_FROM_OFFERED_T0_LEASE(ticks, dhcp) \
	((ticks) = ticks_of((dhcp)->offered_t0_lease))
#define DHCP_SET_TIMEOUT_FROM_OFFERED_T1_RENEW(ticks, dhcp) \
	((ticks) = ticks_of((dhcp)->offered_t1_renew))
#define DHCP_SET_TIMEOUT_FROM_OFFERED_T2_REBIND(ticks, dhcp) \
	((ticks) = ticks_of((dhcp)->offered_t2_rebind))
#define DHCP_NEXT_TIMEOUT_THRESHOLD 1 /* a minute */

#include "core/ipv4/dhcp.c"

static u16_t put_address(u16_t used, u8_t *options, u8_t option, const ip4_addr_t *ip)
{
	used = dhcp_option(used, options, option, 4);
	return dhcp_option_long(used, options, lwip_ntohl(ip4_addr_get_u32(ip)));
}

static u16_t put_options(struct netif *netif, const struct dhcp *dhcp, u16_t used, u8_t *options)
{
	used = dhcp_option(used, options, DHCP_OPTION_MAX_MSG_SIZE, DHCP_OPTION_MAX_MSG_SIZE_LEN);
	used = dhcp_option_short(used, options, DHCP_MAX_MSG_LEN(netif));
	if (dhcp->state == DHCP_STATE_REQUESTING || dhcp->state == DHCP_STATE_REBOOTING)
		used = put_address(used, options, DHCP_OPTION_REQUESTED_IP, &dhcp->offered_ip_addr);
	if (dhcp->state == DHCP_STATE_REQUESTING)
		used = put_address(used, options, DHCP_OPTION_SERVER_ID,
		                   ip_2_ip4(&dhcp->server_ip_addr));
	used = dhcp_option(used, options, DHCP_OPTION_PARAMETER_REQUEST_LIST,
	                   LWIP_ARRAYSIZE(dhcp_discover_request_options));
	for (unsigned int i = 0; i < LWIP_ARRAYSIZE(dhcp_discover_request_options); i++)
		used = dhcp_option_byte(used, options, dhcp_discover_request_options[i]);
	return dhcp_option_hostname(used, options, netif);
}

/* Who has no address yet says so. */
static err_t send_message(struct netif *netif, const struct dhcp *dhcp, struct pbuf *p)
{
	const ip_addr_t *to =
	    dhcp->state == DHCP_STATE_RENEWING ? &dhcp->server_ip_addr : IP_ADDR_BROADCAST;

	if (dhcp->state == DHCP_STATE_SELECTING || dhcp->state == DHCP_STATE_REQUESTING)
		return udp_sendto_if_src(dhcp_pcb, p, to, LWIP_IANA_PORT_DHCP_SERVER, netif,
		                         IP4_ADDR_ANY);
	return udp_sendto_if(dhcp_pcb, p, to, LWIP_IANA_PORT_DHCP_SERVER, netif);
}

/* Until it is sent again: 2, 4, ... 60 s for an address, 1, 2, ... 10 s to keep one, 2, 4, ... 20 s of
 * its own server. */
static unsigned int patience_s(const struct dhcp *dhcp)
{
	unsigned int tries = dhcp->tries;

	if (dhcp->state == DHCP_STATE_SELECTING || dhcp->state == DHCP_STATE_REQUESTING)
		return tries < 6 ? 1u << tries : 60;
	return LWIP_MIN(tries, 10) * (dhcp->state == DHCP_STATE_RENEWING ? 2 : 1);
}

/* Enter a state by sending its message; or by trying to, which is done again later. */
static err_t ask(struct netif *netif, u8_t state)
{
	struct dhcp *dhcp = netif_dhcp_data(netif);
	err_t err = ERR_MEM;
	static u16_t used; /* its address would take a canary on the stack */
	struct pbuf *p;

	dhcp_set_state(dhcp, state);
	p = dhcp_create_msg(netif, dhcp,
	                    state == DHCP_STATE_SELECTING ? DHCP_DISCOVER : DHCP_REQUEST, &used);
	if (p) {
		u8_t *options = ((struct dhcp_msg *)p->payload)->options;

		used = put_options(netif, dhcp, used, options);
		dhcp_option_trailer(used, options, p);
		err = send_message(netif, dhcp, p);
		pbuf_free(p);
	}
	if (dhcp->tries < UINT8_MAX)
		dhcp->tries++;
	dhcp->request_timeout = (u16_t)(patience_s(dhcp) * 1000 / DHCP_FINE_TIMER_MSECS);
	return err;
}

static err_t dhcp_discover(struct netif *netif)
{
	ip4_addr_set_any(&((struct dhcp *)netif_dhcp_data(netif))->offered_ip_addr);
	ask(netif, DHCP_STATE_SELECTING);
	return ERR_OK; /* it goes on trying */
}

static err_t dhcp_select(struct netif *netif)
{
	return ask(netif, DHCP_STATE_REQUESTING);
}

err_t dhcp_renew(struct netif *netif)
{
	LWIP_ASSERT_CORE_LOCKED();
	return ask(netif, DHCP_STATE_RENEWING);
}

static err_t dhcp_rebind(struct netif *netif)
{
	return ask(netif, DHCP_STATE_REBINDING);
}

static err_t dhcp_reboot(struct netif *netif)
{
	return ask(netif, DHCP_STATE_REBOOTING);
}

/* --- What servers say ------------------------------------------------------------------------------ */

static ONCE unsigned int byte_at(const struct pbuf *p, unsigned int at)
{
	for (; p; at -= p->len, p = p->next) {
		if (at < p->len)
			return ((const u8_t *)p->payload)[at];
	}
	return 0;
}

static u32_t number_at(const struct pbuf *p, unsigned int at, unsigned int bytes)
{
	u32_t n = 0;

	while (bytes--)
		n = n << 8 | byte_at(p, at++);
	return n;
}

static const struct known {
	u8_t option, index, bytes;
} known[] = {
    {DHCP_OPTION_SUBNET_MASK, DHCP_OPTION_IDX_SUBNET_MASK, 4},
    {DHCP_OPTION_ROUTER, DHCP_OPTION_IDX_ROUTER, 4}, /* the first one */
    {DHCP_OPTION_DNS_SERVER, DHCP_OPTION_IDX_DNS_SERVER, 4},
    {DHCP_OPTION_LEASE_TIME, DHCP_OPTION_IDX_LEASE_TIME, 4},
    {DHCP_OPTION_OVERLOAD, DHCP_OPTION_IDX_OVERLOAD, 1},
    {DHCP_OPTION_MESSAGE_TYPE, DHCP_OPTION_IDX_MSG_TYPE, 1},
    {DHCP_OPTION_SERVER_ID, DHCP_OPTION_IDX_SERVER_ID, 4},
    {DHCP_OPTION_T1, DHCP_OPTION_IDX_T1, 4},
    {DHCP_OPTION_T2, DHCP_OPTION_IDX_T2, 4},
};

/* How many values there are in an option of so many bytes, of those that are wanted; -1: it is malformed. */
static int count_values(const struct known *k, unsigned int bytes)
{
	if (k->option == DHCP_OPTION_DNS_SERVER)
		return bytes % 4 ? -1 : (int)LWIP_MIN(bytes / 4, LWIP_DHCP_PROVIDE_DNS_SERVERS);
	if (k->option == DHCP_OPTION_ROUTER)
		return bytes < 4 ? -1 : 1;
	return bytes == k->bytes ? 1 : -1;
}

/* If an option comes twice, the first one counts. */
static err_t take_option(const struct pbuf *p, const struct known *k, unsigned int at,
                         unsigned int bytes)
{
	int count = count_values(k, bytes);

	if (count < 0)
		return ERR_VAL;
	if (at + bytes > p->tot_len)
		return ERR_BUF;
	for (int i = k->index; i < k->index + count && !dhcp_rx_options_given[i]; i++) {
		dhcp_rx_options_given[i] = 1;
		dhcp_rx_options_val[i] = number_at(p, at, k->bytes);
		at += k->bytes;
	}
	return ERR_OK;
}

/* The options in a field, to their end mark. Without one: `unended`. */
static err_t take_options(const struct pbuf *p, unsigned int at, unsigned int end, err_t unended)
{
	err_t err = ERR_OK;

	while (err == ERR_OK && at < end) {
		unsigned int option = byte_at(p, at), bytes = byte_at(p, at + 1);

		if (option == DHCP_OPTION_END)
			return ERR_OK;
		at++;
		if (option == DHCP_OPTION_PAD)
			continue;
		for (unsigned int i = 0; i < LWIP_ARRAYSIZE(known); i++) {
			if (known[i].option == option)
				err = take_option(p, &known[i], at + 1, bytes);
		}
		at += 1 + bytes;
	}
	return err == ERR_OK ? unended : err;
}

/* RFC 2131, section 4.1: the fields for names may be full of options, too, the file's first. */
static err_t dhcp_parse_reply(struct pbuf *p, struct dhcp *dhcp)
{
	u32_t overload = 0;
	err_t err;

	(void)dhcp;
	dhcp_clear_all_options(dhcp);
	if (p->len < DHCP_SNAME_OFS)
		return ERR_BUF;
	err = take_options(p, DHCP_OPTIONS_OFS, p->tot_len, ERR_BUF);
	if (dhcp_option_given(dhcp, DHCP_OPTION_IDX_OVERLOAD))
		overload = dhcp_get_option_value(dhcp, DHCP_OPTION_IDX_OVERLOAD);
	if (overload > DHCP_OVERLOAD_SNAME_FILE)
		overload = DHCP_OVERLOAD_NONE;
	dhcp_clear_option(dhcp, DHCP_OPTION_IDX_OVERLOAD);
	if (err == ERR_OK && (overload & DHCP_OVERLOAD_FILE))
		err = take_options(p, DHCP_FILE_OFS, DHCP_FILE_OFS + DHCP_FILE_LEN, ERR_OK);
	if (err == ERR_OK && (overload & DHCP_OVERLOAD_SNAME))
		err = take_options(p, DHCP_SNAME_OFS, DHCP_SNAME_OFS + DHCP_SNAME_LEN, ERR_OK);
	if (dhcp_option_given(dhcp, DHCP_OPTION_IDX_OVERLOAD)) /* in one of them */
		return ERR_VAL;
	return err;
}
