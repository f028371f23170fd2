/* Just enough to run a program under Linux emulation of a user process without a C library. */

int main(void);

__attribute__((noreturn, used)) static void start(void)
{
    register long code __asm__("a0") = main();
    register long call __asm__("a7") = 93; /* exit */
    __asm__ volatile("ecall" : : "r"(code), "r"(call));
    for (;;)
        continue;
}

__asm__(".globl _start\n"
        "_start:\n"
        ".option push\n"
        ".option norelax\n"
        "la gp, __global_pointer$\n"
        ".option pop\n"
        "j start\n");
