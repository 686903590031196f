/* SPDX-License-Identifier: Apache-2.0 */
/* Property calls of a Raspberry Pi's firmware, by name. Nothing is linked of what nobody calls. */
#include <errno.h>
#include <string.h>
#include <pith/assert.h>
#include <pith/firmware.h>
#include <pith/thread.h>

#define TAG_BOARD_REVISION 0x00010002u
#define TAG_MAC            0x00010003u
#define TAG_SERIAL         0x00010004u
#define TAG_ARM_MEMORY     0x00010005u
#define TAG_CLOCK_RATE     0x00030002u
#define TAG_TEMPERATURE    0x00030006u

static int (*firmware)(uint32_t tag, void *values, size_t bytes);
static struct mutex lock = MUTEX_INIT(lock);

void firmware_register(int (*call)(uint32_t tag, void *values, size_t bytes))
{
	firmware = call;
}

int firmware_call(uint32_t tag, void *values, size_t bytes)
{
	int error;

	assert(bytes % 4 == 0 && bytes <= FIRMWARE_VALUES_MAX);
	if (!firmware)
		return -ENODEV;
	mutex_lock(&lock);
	error = firmware(tag, values, bytes);
	mutex_unlock(&lock);
	return error;
}

/* A call that names a thing by number and is told the number and a value. */
static int value_of(uint32_t tag, uint32_t number, uint32_t *value)
{
	uint32_t values[2] = {number, 0};
	int error = firmware_call(tag, values, sizeof(values));

	if (error)
		return error;
	*value = values[1];
	return values[0] == number ? 0 : -EIO;
}

int firmware_clock_hz(uint32_t clock, uint32_t *freq_hz)
{
	int error = value_of(TAG_CLOCK_RATE, clock, freq_hz);

	return error ? error : *freq_hz ? 0 : -EIO;
}

int firmware_temperature(int32_t *millidegrees_celsius)
{
	return value_of(TAG_TEMPERATURE, 0, (uint32_t *)millidegrees_celsius);
}

int firmware_mac(uint8_t mac[6])
{
	uint8_t values[8] = {0};
	int error = firmware_call(TAG_MAC, values, sizeof(values));

	memcpy(mac, values, 6);
	return error;
}

int firmware_serial(uint64_t *serial)
{
	*serial = 0;
	return firmware_call(TAG_SERIAL, serial, sizeof(*serial));
}

int firmware_board_revision(uint32_t *revision)
{
	*revision = 0;
	return firmware_call(TAG_BOARD_REVISION, revision, sizeof(*revision));
}

int firmware_arm_memory(uint32_t *start_pa, uint32_t *bytes)
{
	uint32_t values[2] = {0};
	int error = firmware_call(TAG_ARM_MEMORY, values, sizeof(values));

	*start_pa = values[0];
	*bytes = values[1];
	return error;
}
