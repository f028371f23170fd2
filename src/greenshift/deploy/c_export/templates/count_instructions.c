/* A QEMU plugin that counts how often each block of instructions ran, and how often its end was a jump.
   It declares the part of QEMU's plugin interface that it uses, as distributions ship no header. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*callback)(unsigned, void *), int flags,
                                          void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

typedef struct block block;
struct block {
    block *next;
    uint64_t begin, end, count, jumps;
};

static block *blocks, *last;
static char path[4096];

static void executed(unsigned cpu, void *data)
{
    block *now = data;
    (void)cpu;
    if (last && last->end != now->begin)
        last->jumps++;
    now->count++;
    last = now;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);
    struct qemu_plugin_insn *final = qemu_plugin_tb_get_insn(tb, count - 1);
    block *found = calloc(1, sizeof *found);
    (void)id;
    if (!found)
        abort();
    found->begin = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    found->end = qemu_plugin_insn_vaddr(final) + qemu_plugin_insn_size(final);
    found->next = blocks;
    blocks = found;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, found);
}

static void ended(uint64_t id, void *data)
{
    FILE *out = fopen(path, "w");
    (void)id, (void)data;
    if (!out)
        return;
    for (block *b = blocks; b; b = b->next)
        if (b->count)
            fprintf(out, "%" PRIx64 " %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->begin, b->end, b->count, b->jumps);
    fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int count, char **values)
{
    (void)info;
    if (count != 1 || strncmp(values[0], "out=", 4) || strlen(values[0]) >= sizeof path)
        return 1;
    strcpy(path, values[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
