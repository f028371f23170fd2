/* Just enough to run a program on an emulated Cortex-M: vectors, data, and the exit code by semihosting. */
#include <stdint.h>

extern uint32_t data_from[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
int main(void);
void reset(void);

static void finish(int32_t code)
{
    uint32_t block[2] = {0x20026u, (uint32_t)code}; /* ADP_Stopped_ApplicationExit */
    register uint32_t operation __asm__("r0") = 0x20u; /* SYS_EXIT_EXTENDED */
    register uint32_t *argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
    for (;;)
        continue;
}

static void fault(void)
{
    finish(99);
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};

void reset(void)
{
    uint32_t *from = data_from, *to = data_begin;
    while (to != data_end)
        *to++ = *from++;
    for (to = bss_begin; to != bss_end; to++)
        *to = 0;
    finish(main());
}
