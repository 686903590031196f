/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSCI: power off and reset by firmware.
 *
 * Source: Power State Coordination Interface, Arm DEN 0022, section 5; binding: Linux,
 * Documentation/devicetree/bindings/arm/psci.yaml. Version 0.1 ("arm,psci" alone) knows neither
 * call.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <pith/driver.h>
#include <pith/machine.h>
#include <pith/smccc.h>

#define PSCI_SYSTEM_OFF   0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u

static bool by_smc;

/* Returns only if the firmware cannot do it. */
static void psci_call(uint32_t function)
{
	if (by_smc)
		smccc_smc(function, 0, 0, 0);
	else
		smccc_hvc(function, 0, 0, 0);
}

static void psci_off(void)
{
	psci_call(PSCI_SYSTEM_OFF);
}

static void psci_reset(void)
{
	psci_call(PSCI_SYSTEM_RESET);
}

static const struct machine_power psci_power = {
    .name = "psci",
    .off = psci_off,
    .reset = psci_reset,
};

static int psci_probe(const struct device *dev)
{
	struct dt_value method = dt_prop(dev->node, "method");

	if (method.bytes != 4)
		return -EINVAL;
	by_smc = !memcmp(method.data, "smc", 4);
	if (!by_smc && memcmp(method.data, "hvc", 4) != 0)
		return -EINVAL;
	machine_power_register(&psci_power);
	return 0;
}

DRIVER(psci) = {
    .name = "psci",
    .compatible = "arm,psci-1.0\0arm,psci-0.2\0",
    .stage = DRV_POWER,
    .probe = psci_probe,
};
