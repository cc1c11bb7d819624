/* Settings of the C library's allocator, made before `main`.

   A block of 128 KiB or more is mapped by itself, and unmapped as soon as it is freed; it also grows without being copied. By default the
   allocator moves this threshold up to 32 MB with the blocks that it sees freed, and keeps what is below it in its arenas: after a few requests with
   images, hundreds of megabytes (docs/adr/0008-allocator.md). */

#include <malloc.h>

__attribute__((constructor)) static void set_malloc_thresholds(void) {
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
}
