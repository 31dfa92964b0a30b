/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of irqchip/ share: the devices of a VM and how a message finds
 * its local APICs.
 *
 * chip->lock guards the PICs and the IOAPIC; a PIT has a lock of its own outside
 * of it. All are taken from hard interrupts, too.
 */
#ifndef _UMBRA_IRQCHIP_CHIP_H
#define _UMBRA_IRQCHIP_CHIP_H

#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <umbra/irqchip.h>
#include <umbra/types.h>

#define PIC_PINS	16
#define IOAPIC_PINS	KVM_IOAPIC_NUM_PINS
#define IOAPIC_BASE	0xfec00000ull
#define IOAPIC_LENGTH	0x100

struct umbra_pit;
struct umbra_routing;

/**
 * struct umbra_pic - the two 8259s
 * @chip: registers, as user space sees them; 0 is the master
 * @output: the master's INTR line; read without the lock
 */
struct umbra_pic {
	struct kvm_pic_state chip[2];
	bool output;
};

/**
 * struct umbra_ioapic - the IOAPIC
 * @state: registers, as user space sees them; state.irr has the level of each
 *	line, and edges that are not delivered yet
 * @delivered: edges in state.irr that have been delivered
 * @eoi_vectors: vectors whose EOI matters to a pin; read without the lock
 * @watched: pins whose device wants to know of EOIs although they are edges
 */
struct umbra_ioapic {
	struct kvm_ioapic_state state;
	u32 delivered;
	DECLARE_BITMAP(eoi_vectors, 256);
	u32 watched;
};

/**
 * struct umbra_irqchip - the interrupt controllers of a VM
 * @vm: whose they are
 * @lock: the PICs, the IOAPIC and the levels of their lines
 * @pic: under @lock
 * @ioapic: under @lock
 * @pic_sources: under @lock: who raises the pin, a bit for each source
 * @ioapic_sources: the same for the IOAPIC
 * @routing: RCU; replaced under vm->lock
 * @pit: NULL, or set once under vm->lock
 * @irqfds: RCU; changed under vm->lock
 */
struct umbra_irqchip {
	struct umbra_vm *vm;
	raw_spinlock_t lock;	/* see above */
	struct umbra_pic pic;
	struct umbra_ioapic ioapic;
	u64 pic_sources[PIC_PINS];
	u64 ioapic_sources[IOAPIC_PINS];
	struct umbra_routing __rcu *routing;
	struct umbra_pit *pit;
	struct list_head irqfds;
};

/**
 * struct umbra_irq_msg - an interrupt message, from an ICR, a pin or an MSI
 * @dest: destination field
 * @shorthand: APIC_DEST_SELF, _ALLINC, _ALLBUT or 0
 * @mode: delivery mode, APIC_DM_*
 * @vector: for the modes that have one
 * @logical: @dest is compared with LDR
 * @wide: @dest has 32 bits, as an x2APIC sends it, not 8
 * @level: trigger mode
 */
struct umbra_irq_msg {
	u32 dest;
	u32 shorthand;
	u32 mode;
	u8 vector;
	bool logical;
	bool wide;
	bool level;
};

/* destination.c */
int umbra_irq_deliver(struct umbra_vm *vm, struct umbra_lapic *src,
		      const struct umbra_irq_msg *msg);
void umbra_msi_decode(u32 address, u32 data, struct umbra_irq_msg *msg);

/* pic.c; under chip->lock */
void umbra_pic_reset(struct umbra_pic *pic);
int umbra_pic_set_pin(struct umbra_pic *pic, unsigned int pin, bool level);
int umbra_pic_ack(struct umbra_pic *pic, u32 *acked);
bool umbra_pic_port(struct umbra_pic *pic, u16 port, u8 *data, bool write, u32 *acked);
void umbra_pic_set_state(struct umbra_pic *pic, unsigned int which,
			 const struct kvm_pic_state *state);

/* ioapic.c; under chip->lock */
void umbra_ioapic_reset(struct umbra_ioapic *ioapic);
int umbra_ioapic_set_pin(struct umbra_irqchip *chip, unsigned int pin, bool level);
void umbra_ioapic_watch(struct umbra_irqchip *chip, u32 pins);
u32 umbra_ioapic_eoi(struct umbra_irqchip *chip, u8 vector);
u32 umbra_ioapic_read(struct umbra_ioapic *ioapic, unsigned int offset);
void umbra_ioapic_write(struct umbra_irqchip *chip, unsigned int offset, u32 data);
void umbra_ioapic_set_state(struct umbra_irqchip *chip, const struct kvm_ioapic_state *state);

/* lines.c */
int umbra_pin_set(struct umbra_irqchip *chip, unsigned int which, unsigned int pin,
		  unsigned int source, bool level);
void umbra_irqchip_eoi(struct umbra_irqchip *chip, u8 vector);
int umbra_extint_ack(struct umbra_irqchip *chip);
bool umbra_pic_io(struct umbra_irqchip *chip, u16 port, u8 *data, bool write);
void umbra_pic_restore(struct umbra_irqchip *chip, unsigned int which,
		       const struct kvm_pic_state *state);

/* routing.c */
int umbra_routing_init(struct umbra_irqchip *chip);
void umbra_routing_destroy(struct umbra_irqchip *chip);
u32 umbra_routing_pins(struct umbra_irqchip *chip, u32 gsi, unsigned int which);

/* chip.c */
void umbra_irqchip_watch_pit(struct umbra_irqchip *chip);

/* pit.c */
bool umbra_pit_io(struct umbra_irqchip *chip, u16 port, u8 *data, bool write);
void umbra_pit_acked(struct umbra_irqchip *chip);
void umbra_pit_destroy(struct umbra_irqchip *chip);

/* irqfd.c */
void umbra_irqfd_acked(struct umbra_irqchip *chip, unsigned int which, u32 pins);
void umbra_irqfd_destroy(struct umbra_irqchip *chip);

#endif /* _UMBRA_IRQCHIP_CHIP_H */
