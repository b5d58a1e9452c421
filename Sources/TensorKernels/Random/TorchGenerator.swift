import Foundation

/// PyTorch's CPU generator: the same seed gives the same normal numbers, bit for bit.
///
/// `TorchGenerator(seed: s).randn(n)` equals `torch.randn(n, generator=torch.Generator().manual_seed(s))` in float32,
/// and so does every later draw from the same generator, whatever the sizes of the draws. PyTorch has two paths, and
/// both are followed:
///
/// - 16 numbers or more: `n` uniforms of 24 bits, then Box-Muller in place on blocks of 16, the first 8 as radii and
///   the last 8 as angles; when 16 does not divide `n`, the last 16 are drawn anew. Logarithm, sine and cosine are the
///   single-precision Cephes polynomials of PyTorch's AVX2 kernel (see `VectorBoxMuller`), which every x86 machine
///   with AVX2 or AVX-512 runs. On processors without AVX2 PyTorch calls the C library instead, and its own
///   results differ in the last bit from those it gives here.
/// - Fewer than 16: each number by Box-Muller in double precision from 53-bit uniforms, the second of a pair kept for
///   the next such draw.
///
/// Only the low 32 bits of the seed reach the Mersenne twister, in PyTorch as here.
public struct TorchGenerator: Sendable {
    private var engine: MersenneTwister
    private var spareNormal: Double?

    public init(seed: UInt64) {
        engine = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
    }

    /// The next `count` numbers of a standard normal distribution, in the row-major order in which PyTorch fills a
    /// contiguous tensor of that many elements.
    public mutating func randn(_ count: Int) -> [Float] {
        precondition(count >= 0, "a draw cannot have a negative count")
        guard count >= VectorBoxMuller.blockLength else {
            return (0..<count).map { _ in Float(doublePrecisionNormal()) }
        }
        var values = (0..<count).map { _ in uniform24() }
        var start = 0
        while start + VectorBoxMuller.blockLength <= count {
            VectorBoxMuller.transform(&values, at: start)
            start += VectorBoxMuller.blockLength
        }
        if start < count {
            let tail = count - VectorBoxMuller.blockLength
            for index in tail..<count { values[index] = uniform24() }
            VectorBoxMuller.transform(&values, at: tail)
        }
        return values
    }

    /// Uniform in [0, 1) on multiples of 2^-24.
    private mutating func uniform24() -> Float {
        Float(engine.next() & 0x00ff_ffff) * 0x1p-24
    }

    /// Uniform in [0, 1) on multiples of 2^-53; the first word drawn is the high one.
    private mutating func uniform53() -> Double {
        let high = UInt64(engine.next())
        let low = UInt64(engine.next())
        return Double(((high << 32) | low) & 0x001f_ffff_ffff_ffff) * 0x1p-53
    }

    private mutating func doublePrecisionNormal() -> Double {
        if let spare = spareNormal {
            spareNormal = nil
            return spare
        }
        let first = uniform53()
        let second = uniform53()
        let radius = (-2 * log1p(-second)).squareRoot()
        let angle = 2 * Double.pi * first
        spareNormal = radius * sin(angle)
        return radius * cos(angle)
    }
}
