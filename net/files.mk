# SPDX-License-Identifier: Apache-2.0
# The files of net/: obj-y always, obj-$(FEAT_...) with a feature (apps/features.mk).

net_objs := address.o arp.o checksum.o config.o core.o dhcp.o dns.o hostent.o igmp.o interface.o ip.o memory.o \
	netif.o option.o predict.o random.o resolver.o segment.o shortcut.o siphash.o socket.o socket_tcp.o socket_udp.o status.o timers.o
# Not built: inet_chksum.c, init.c, mem.c, memp.c, timeouts.c, replaced by checksum.c, core.c, memory.c and timers.c; dhcp.c,
# dns.c, etharp.c, igmp.c, ip4.c, nd6.c and tcp_in.c, which dhcp.c, resolver.c, arp.c, igmp.c,
# shortcut.c, nd.c and predict.c include.
lwip_objs := core/def.o core/ip.o core/netif.o core/pbuf.o core/stats.o \
	core/tcp.o core/tcp_out.o core/udp.o \
	core/ipv4/icmp.o core/ipv4/ip4_addr.o \
	core/ipv4/ip4_frag.o \
	core/ipv6/inet6.o core/ipv6/ip6_addr.o netif/ethernet.o
lwip_objs := $(lwip_objs:%=$(lwip)/src/%)
ipv6_objs := net/ipv6.o net/nd.o $(addprefix $(lwip)/src/core/ipv6/,icmp6.o ip6.o ip6_frag.o mld6.o)

obj-$(FEAT_NET) += $(net_objs:%=net/%) $(lwip_objs) $(if $(FEAT_IPV6),$(ipv6_objs),net/without_ipv6.o)
deps-$(FEAT_NET) += lwip

# What gains by it, of what runs for every packet. The rest, lwIP too, is as fast when it is compiled for
# size: within 2 % of the instructions that it takes of a request or a datagram.
net_hot := checksum.o memory.o siphash.o http.o
$(net_hot:%=$(obj)/net/%): optimize := -O2
$(obj)/net/%.o $(addprefix $(obj)/,$(lwip_objs) $(ipv6_objs)): includes += -Inet -I$(lwip)/src/include -I$(lwip)/src
# An app may use lwIP's raw API (pith/net.h).
$(obj)/app/%.o: includes += $(if $(FEAT_NET),-isystem net -isystem $(lwip)/src/include)

# The HTTP server (pith/http.h).
obj-$(FEAT_HTTP) += net/http.o
obj-$(and $(FEAT_HTTP),$(FEAT_OTA)) += net/push.o

# Updates from a server (pith/pull.h).
pull := $(and $(FEAT_NET),$(FEAT_OTA))
obj-$(pull)  += net/pull.o net/fetch.o
deps-$(pull) += jsmn

obj-$(or $(FEAT_HTTP),$(pull))  += $(http-parser)/http_parser.o
deps-$(or $(FEAT_HTTP),$(pull)) += http-parser
$(addprefix $(obj)/net/,http.o fetch.o pull.o): includes += -isystem $(http-parser) -isystem $(jsmn)
