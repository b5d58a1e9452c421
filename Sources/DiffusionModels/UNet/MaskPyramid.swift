import NeuralLayers
import TensorKernels

/// The attention masks of one job at every resolution of the network, the paper's Eqs. 13-15.
public final class MaskPyramid: Sendable {
    private let mask: Latent
    private let chunkLength: Int
    private let foregrounds = LayerMemory<[UInt8]?>()

    /// - Parameters:
    ///   - mask: the latent mask m `[1, h, w]`, 1 = repaint.
    ///   - chunkLength: the tokens of a chunk of the prompt; the background sees the first of each.
    public init(mask: Latent, chunkLength: Int) {
        self.mask = mask
        self.chunkLength = chunkLength
    }

    /// The masks that `masking` asks for at one size; none where the foreground is empty.
    public func masks(
        _ masking: AttentionMasking, height: Int, width: Int
    ) -> (cross: AttentionMask?, own: AttentionMask?) {
        guard !masking.isEmpty, let foreground = foreground(height: height, width: width) else { return (nil, nil) }
        return (
            masking.contains(.crossAttention) ? .firstKeyOnly(foreground: foreground, chunk: chunkLength) : nil,
            masking.contains(.selfAttention) ? .backgroundKeys(foreground: foreground) : nil
        )
    }

    /// F: where m, resized bilinearly, equals 1; nil where it does so nowhere or everywhere, so that nothing is masked.
    ///
    /// The resizing has half-pixel centres and no antialiasing. Its value is 1 just where every cell with a weight
    /// above 0 is 1, which whole numbers tell exactly; the rounding of float32 would lose cells at odd sizes.
    func foreground(height: Int, width: Int) -> [UInt8]? {
        foregrounds.value(for: "\(height) x \(width)") {
            let rows = Self.contributors(mask.height, to: height)
            let columns = Self.contributors(mask.width, to: width)
            let foreground = rows.flatMap { row in
                columns.map { column in
                    UInt8(row.allSatisfy { y in column.allSatisfy { mask.values[y * mask.width + $0] == 1 } } ? 1 : 0)
                }
            }
            return foreground.contains(1) && foreground.contains(0) ? foreground : nil
        }
    }

    /// For each of `target` positions, the one or two of `side` that its value is made of.
    ///
    /// Position i lies at (i + 1/2) side / target - 1/2, that is at ((2 i + 1) side - target) / (2 target).
    private static func contributors(_ side: Int, to target: Int) -> [ClosedRange<Int>] {
        (0..<target).map { index in
            let numerator = max(0, (2 * index + 1) * side - target)
            let first = min(numerator / (2 * target), side - 1)
            return first...(numerator % (2 * target) == 0 ? first : min(first + 1, side - 1))
        }
    }
}
