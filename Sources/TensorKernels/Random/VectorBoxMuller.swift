/// Box-Muller on a block of 16 uniforms with the arithmetic of PyTorch's AVX2 kernel, rounding for rounding.
///
/// The functions are the single-precision ones of S. Moshier's Cephes library (`logf`, `sinf`, `cosf`) in the form
/// that vector code uses: no branches on range, both polynomials evaluated and one selected. PyTorch's build fuses
/// each product with the addition that follows it, so every `fused` below is one rounding and every other product
/// and sum is one of its own; changing either changes bits.
enum VectorBoxMuller {
    static let blockLength = 16

    /// Replaces `values[start..<start + 16]`, uniforms in [0, 1), by 16 normal numbers: number j and number j + 8 come
    /// from radius uniform j and angle uniform j + 8.
    static func transform(_ values: inout [Float], at start: Int) {
        for index in start..<start + blockLength / 2 {
            let radius = (-2 * logarithm(1 - values[index])).squareRoot()
            let (sine, cosine) = sineAndCosine(Float(2 * Double.pi) * values[index + blockLength / 2])
            // The kernel ends with a fused multiply-add of standard deviation 1 and mean 0: -0 becomes +0.
            values[index] = radius * cosine + 0
            values[index + blockLength / 2] = radius * sine + 0
        }
    }

    /// a x b + c, rounded once.
    @inline(__always)
    private static func fused(_ a: Float, _ b: Float, _ c: Float) -> Float { c.addingProduct(a, b) }

    /// Natural logarithm of a normal positive number (Cephes `logf`).
    static func logarithm(_ argument: Float) -> Float {
        let bits = argument.bitPattern
        var exponent = Float(Int32(bits >> 23) - 0x7f) + 1
        // The significand in [1/2, 1).
        var x = Float(bitPattern: (bits & 0x007f_ffff) | 0x3f00_0000)
        if x < 0.707106781186547524 {
            exponent -= 1
            x = (x - 1) + x
        } else {
            x -= 1
        }
        let square = x * x
        var y: Float = 7.0376836292e-2
        y = fused(y, x, -1.1514610310e-1)
        y = fused(y, x, 1.1676998740e-1)
        y = fused(y, x, -1.2420140846e-1)
        y = fused(y, x, 1.4249322787e-1)
        y = fused(y, x, -1.6668057665e-1)
        y = fused(y, x, 2.0000714765e-1)
        y = fused(y, x, -2.4999993993e-1)
        y = fused(y, x, 3.3333331174e-1)
        y = fused(y * x, square, exponent * -2.12194440e-4)
        y = fused(-square, 0.5, y)
        return fused(exponent, 0.693359375, x + y)
    }

    /// Sine and cosine of an angle in [0, 2 pi] (Cephes `sinf` and `cosf`): reduction by multiples of pi/2 in three
    /// parts, then two polynomials on [-pi/4, pi/4].
    static func sineAndCosine(_ angle: Float) -> (sine: Float, cosine: Float) {
        // The octant, rounded up to an even one.
        let octant = (Int32(angle * 1.27323954473516) + 1) & ~1
        let y = Float(octant)
        var x = fused(y, -0.78515625, angle)
        x = fused(y, -2.4187564849853515625e-4, x)
        x = fused(y, -3.77489497744594108e-8, x)
        let square = x * x

        var even: Float = 2.443315711809948e-5
        even = fused(even, square, -1.388731625493765e-3)
        even = fused(even, square, 4.166664568298827e-2)
        even = fused(even * square, square, -(square * 0.5)) + 1

        var odd: Float = -1.9515295891e-4
        odd = fused(odd, square, 8.3321608736e-3)
        odd = fused(odd, square, -1.6666654611e-1)
        odd = fused(odd * square, x, x)

        let isSwapped = octant & 2 != 0
        let sine = isSwapped ? even : odd
        let cosine = isSwapped ? odd : even
        return (octant & 4 == 0 ? sine : -sine, (octant - 2) & 4 == 0 ? -cosine : cosine)
    }
}
