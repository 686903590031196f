/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's DHCP, with one function for the five messages that ask for something (RFC 2131, section 4.3.6):
 * lwIP's five do nearly the same (net/lwip.patch leaves them out). What the functions need is private
 * to lwIP's file: that is included here instead of being compiled on its own.
 */
#include "lwip/dhcp.h"
#include "lwip/prot/dhcp.h"

/* Once each, not at each place that calls them. */
#define ONCE __attribute__((noinline))
ONCE static void dhcp_set_state(struct dhcp *dhcp, u8_t state);
ONCE static u16_t dhcp_option_byte(u16_t used, u8_t *options, u8_t value);

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
	struct pbuf *p;
	u16_t used;

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
