import NeuralLayers
import TensorKernels

/// The attention masks of one job at every resolution of the network, the paper's Eqs. 13-15.
public final class MaskPyramid: Sendable {
    private let mask: Latent
    private let foregrounds = LayerMemory<[UInt8]?>()

    /// - Parameter mask: the latent mask m `[1, h, w]`, 1 = repaint.
    public init(mask: Latent) { self.mask = mask }

    /// The masks that `masking` asks for at one size; none where the foreground is empty.
    public func masks(
        _ masking: AttentionMasking, height: Int, width: Int
    ) -> (cross: AttentionMask?, own: AttentionMask?) {
        guard !masking.isEmpty, let foreground = foreground(height: height, width: width) else { return (nil, nil) }
        return (
            masking.contains(.crossAttention) ? .firstKeyOnly(foreground: foreground) : nil,
            masking.contains(.selfAttention) ? .backgroundKeys(foreground: foreground) : nil
        )
    }

    /// F: where m, resized bilinearly, equals 1; nil where it does so nowhere or everywhere, so that nothing is masked.
    func foreground(height: Int, width: Int) -> [UInt8]? {
        foregrounds.value(for: "\(height) x \(width)") {
            let foreground = resized(height: height, width: width).map { UInt8($0 == 1 ? 1 : 0) }
            return foreground.contains(1) && foreground.contains(0) ? foreground : nil
        }
    }

    /// Bilinear with half-pixel centres and no antialiasing, as `torch.nn.functional.interpolate` does it.
    private func resized(height: Int, width: Int) -> [Float] {
        let rows = Self.samples(mask.height, to: height)
        let columns = Self.samples(mask.width, to: width)
        return rows.flatMap { row in
            columns.map { column in
                func value(_ y: Int, _ x: Int) -> Float { mask.values[y * mask.width + x] }
                let above =
                    value(row.first, column.first) * (1 - column.share)
                    + value(row.first, column.second) * column.share
                let below =
                    value(row.second, column.first) * (1 - column.share)
                    + value(row.second, column.second) * column.share
                return above * (1 - row.share) + below * row.share
            }
        }
    }

    /// For each target position, the two source positions and the second one's share.
    private static func samples(_ side: Int, to target: Int) -> [(first: Int, second: Int, share: Float)] {
        let scale = Float(side) / Float(target)
        return (0..<target).map { index in
            let place = max(0, scale * (Float(index) + 0.5) - 0.5)
            let first = min(Int(place), side - 1)
            return (first, min(first + 1, side - 1), min(max(place - Float(first), 0), 1))
        }
    }
}
