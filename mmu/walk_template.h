/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walker for one size of guest entries. walk.c includes this with
 * WALK_BITS 32 and 64; no include guard, by design. Alone it is empty.
 */
#ifdef WALK_BITS

#if WALK_BITS == 32
#define WALK(name)		name##_32
#define gpte_t			u32
#define WALK_INDEX_BITS		10
#define WALK_FRAME		GENMASK_ULL(31, 12)
#else
#define WALK(name)		name##_64
#define gpte_t			u64
#define WALK_INDEX_BITS		9
#define WALK_FRAME		GENMASK_ULL(51, 12)
#endif

#define WALK_SHIFT(level)	(12 + ((level) - 1) * WALK_INDEX_BITS)

#if WALK_BITS == 32

/* Bits that no present entry may have. */
static u64 always_reserved_32(const struct umbra_paging_state *state,
			      enum umbra_guest_paging paging)
{
	return 0;
}

/* Physical address bits that PSE-36 can reach; 32 means that it is absent. */
static unsigned int pse36_bits(const struct umbra_paging_state *state)
{
	return clamp_t(unsigned int, state->maxphyaddr, 32, 40);
}

static bool is_leaf_32(const struct umbra_paging_state *state, u64 gpte, unsigned int level)
{
	return level == 1 || (gpte & GPTE_PS && state->cr4 & X86_CR4_PSE);
}

static bool reserved_32(const struct umbra_paging_state *state, u64 always, u64 gpte,
			unsigned int level)
{
	if (level == 1 || !is_leaf_32(state, gpte, level))
		return false;
	return gpte & GENMASK_ULL(21, pse36_bits(state) - 19);
}

static gpa_t leaf_base_32(u64 gpte, unsigned int level)
{
	if (level == 1)
		return gpte & WALK_FRAME;
	/* Bits 20:13 are physical bits 39:32; the reserved ones are clear. */
	return (gpte & GENMASK_ULL(31, 22)) | (gpte & GENMASK_ULL(20, 13)) << 19;
}

static u32 entry_rights_32(u64 gpte)
{
	return (gpte & (GPTE_WRITE | GPTE_USER)) | WALK_ACC_EXEC;
}

static u32 leaf_key_32(u64 gpte)
{
	return 0;
}

/* Where the walk starts: fills @walk->top_level. 0 or a fault. */
static int walk_start_32(struct umbra_mmu_vcpu *vcpu, enum umbra_guest_paging paging,
			 struct umbra_walk *walk, gpa_t *table, unsigned int *level)
{
	walk->top_level = 2;
	*level = 2;
	*table = vcpu->state.cr3 & WALK_FRAME;
	return 0;
}

#else /* WALK_BITS == 64 */

static u64 always_reserved_64(const struct umbra_paging_state *state,
			      enum umbra_guest_paging paging)
{
	u64 mask = above_maxphyaddr(state);

	/* Long mode ignores bits 62:52, PAE does not. */
	if (paging == GUEST_PAE)
		mask |= GENMASK_ULL(62, 52);
	if (!(state->efer & EFER_NX))
		mask |= GPTE_NX;
	return mask;
}

static bool is_leaf_64(const struct umbra_paging_state *state, u64 gpte, unsigned int level)
{
	return level == 1 || gpte & GPTE_PS;
}

static bool reserved_64(const struct umbra_paging_state *state, u64 always, u64 gpte,
			unsigned int level)
{
	if (gpte & always)
		return true;
	if (level == 1 || !(gpte & GPTE_PS))
		return false;
	if (level > 3 || (level == 3 && !state->has_gbpages))
		return true;
	/* Bit 12 is PAT, address bits below the page size must be clear. */
	return gpte & GENMASK_ULL(WALK_SHIFT(level) - 1, 13);
}

static gpa_t leaf_base_64(u64 gpte, unsigned int level)
{
	return gpte & WALK_FRAME & ~(BIT_ULL(WALK_SHIFT(level)) - 1);
}

/* NX may be taken as it is: without EFER.NXE it is a reserved bit. */
static u32 entry_rights_64(u64 gpte)
{
	return (gpte & (GPTE_WRITE | GPTE_USER)) | (gpte & GPTE_NX ? 0 : WALK_ACC_EXEC);
}

/* PAE reserves the bits. */
static u32 leaf_key_64(u64 gpte)
{
	return umbra_gpte_key(gpte);
}

static int walk_start_64(struct umbra_mmu_vcpu *vcpu, enum umbra_guest_paging paging,
			 struct umbra_walk *walk, gpa_t *table, unsigned int *level)
{
	unsigned int index;
	u64 pdpte;

	if (paging != GUEST_PAE) {
		walk->top_level = paging == GUEST_5LEVEL ? 5 : 4;
		*level = walk->top_level;
		*table = vcpu->state.cr3 & WALK_FRAME;
		return 0;
	}

	/* The PDPTEs are registers, read and checked when CR3 was loaded. */
	index = (walk->gva >> 30) & 3;
	pdpte = vcpu->pdptrs[index];
	walk->top_level = 3;
	walk->level = 3;
	walk->table_gfn[2] = umbra_gpa_to_gfn(vcpu->state.cr3 & GENMASK_ULL(31, 5));
	walk->gpte[2] = pdpte;
	walk->gpte_gpa[2] = (vcpu->state.cr3 & GENMASK_ULL(31, 5)) + index * sizeof(u64);
	walk->table_access[2] = WALK_ACC_ALL;
	if (!(pdpte & GPTE_PRESENT))
		return walk_fault(&vcpu->state, walk, 0);
	*level = 2;
	*table = pdpte & WALK_FRAME;
	return 0;
}

#endif /* WALK_BITS */

/* Read entries down to the leaf. @ad: flags that all entries have in common. */
static int WALK(descend)(struct umbra_mmu_vcpu *vcpu, enum umbra_guest_paging paging,
			 struct umbra_walk *walk, u64 *ad)
{
	const struct umbra_paging_state *state = &vcpu->state;
	u64 always = WALK(always_reserved)(state, paging);
	u32 rights = WALK_ACC_ALL;
	unsigned int level;
	gpte_t gpte;
	gpa_t table;
	int ret;

	ret = WALK(walk_start)(vcpu, paging, walk, &table, &level);
	if (ret)
		return ret;

	for (*ad = GPTE_ACCESSED; ; level--) {
		gpa_t gpa = table | ((walk->gva >> WALK_SHIFT(level)) &
				     (BIT(WALK_INDEX_BITS) - 1)) * sizeof(gpte);

		walk->level = level;
		walk->table_gfn[level - 1] = umbra_gpa_to_gfn(table);
		walk->gpte_gpa[level - 1] = gpa;
		walk->table_access[level - 1] = rights;

		if (umbra_guest_read(vcpu->mmu, gpa, &gpte, sizeof(gpte)))
			gpte = 0;
		walk->gpte[level - 1] = gpte;
		if (!(gpte & GPTE_PRESENT))
			return walk_fault(state, walk, 0);
		if (WALK(reserved)(state, always, gpte, level))
			return walk_fault(state, walk, UMBRA_ACC_PRESENT | UMBRA_ACC_RSVD);

		rights &= WALK(entry_rights)(gpte);
		*ad &= gpte;
		if (WALK(is_leaf)(state, gpte, level))
			break;
		table = gpte & WALK_FRAME;
	}

	walk->pte_access = rights | WALK(leaf_key)(gpte);
	walk->dirty = gpte & GPTE_DIRTY;
	walk->gpa = WALK(leaf_base)(gpte, level) |
		    (walk->gva & (BIT_ULL(WALK_SHIFT(level)) - 1));
	walk->gfn = umbra_gpa_to_gfn(walk->gpa);
	return 0;
}

/* Return: 0; -EAGAIN when an entry has changed since; -EFAULT as walk_fault(). */
static int WALK(set_flags)(struct umbra_mmu_vcpu *vcpu, enum umbra_guest_paging paging,
			   struct umbra_walk *walk)
{
	unsigned int level = paging == GUEST_PAE ? 2 : walk->top_level;

	for (; level >= walk->level; level--) {
		u64 old = walk->gpte[level - 1];
		u64 new = old | GPTE_ACCESSED;
		int ret;

		if (level == walk->level && walk->access & UMBRA_ACC_WRITE)
			new |= GPTE_DIRTY;
		if (new == old)
			continue;
		ret = umbra_store_flags(vcpu, walk->gpte_gpa[level - 1], &old, new,
					sizeof(gpte_t));
		if (ret == -EAGAIN)
			return ret;
		if (ret)
			return walk_fault(&vcpu->state, walk, UMBRA_ACC_PRESENT);
		walk->gpte[level - 1] = new;
	}
	if (walk->access & UMBRA_ACC_WRITE)
		walk->dirty = true;
	return 0;
}

static int WALK(walk)(struct umbra_mmu_vcpu *vcpu, enum umbra_guest_paging paging, bool set_ad,
		      struct umbra_walk *walk)
{
	unsigned int retries;
	u32 refused;
	u64 ad;
	int ret;

	for (retries = 0; retries < WALK_MAX_RETRIES; retries++) {
		ret = WALK(descend)(vcpu, paging, walk, &ad);
		if (ret)
			return ret;
		refused = walk_refused(&vcpu->state, walk->access, walk->pte_access);
		if (refused)
			return walk_fault(&vcpu->state, walk, refused);
		/* The common case by far: all flags are there already. */
		if (!set_ad || (ad && (walk->dirty || !(walk->access & UMBRA_ACC_WRITE))))
			return 0;
		ret = WALK(set_flags)(vcpu, paging, walk);
		if (ret != -EAGAIN)
			return ret;
	}
	return walk_fault(&vcpu->state, walk, 0);
}

#undef WALK
#undef gpte_t
#undef WALK_INDEX_BITS
#undef WALK_FRAME
#undef WALK_SHIFT

#endif /* WALK_BITS */
