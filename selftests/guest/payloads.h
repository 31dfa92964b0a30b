/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The list of payloads, PAYLOAD(name, operations, flags). No include guard: it
 * is included once per table that is made from it. Operations are the number of
 * steps of a self-test run; the benchmarks choose their own.
 */
PAYLOAD(null_exit, 64, 0)
PAYLOAD(pio_user, 64, 0)
PAYLOAD(mmio_user, 64, 0)
PAYLOAD(string_pio, 16, 0)
PAYLOAD(touch_4k, 512, 0)
PAYLOAD(retouch, 512, 0)
PAYLOAD(prot_sum, 0, PAYLOAD_PROT)
PAYLOAD(real_sum, 0, PAYLOAD_REAL)
PAYLOAD(mode_switch, 0, PAYLOAD_REAL | PAYLOAD_SWITCH)
