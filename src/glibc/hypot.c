/* hypot and hypotf of the program itself.

   The linker binds a program to the newest version of each function that the glibc of the machine has on which it is built. For these two that is
   2.35, and nothing else of the program asks for more than 2.34, which Amazon Linux 2023 and RHEL 9 have. They are called for the sizes of glyphs
   in PDFs (document-parser, read-fonts), and by an operator of neural networks (rten). */

#include <math.h>

double hypot(double x, double y) {
    if (isinf(x) || isinf(y)) {
        return INFINITY;
    }
    x = fabs(x);
    y = fabs(y);
    double largest = x > y ? x : y;
    double other = x > y ? y : x;
    if (largest == 0 || isnan(other)) {
        return x + y;
    }
    /* So that no square is too large or too small. */
    double ratio = other / largest;
    return largest * sqrt(1 + ratio * ratio);
}

float hypotf(float x, float y) {
    return (float)hypot(x, y);
}
