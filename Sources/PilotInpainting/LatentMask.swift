import DiffusionModels
import Failures

/// The mask m on the latent's grid: 1 = repaint, 0 = keep.
public struct LatentMask: Equatable, Sendable {
    public let height: Int
    public let width: Int
    /// 0 or 1, row-major, `height * width` of them.
    public let values: [Float]

    /// - Precondition: `isRepainted.count == height * width`.
    public init(height: Int, width: Int, isRepainted: [Bool]) {
        precondition(isRepainted.count == height * width, "a mask's values must fill its shape")
        self.height = height
        self.width = width
        values = isRepainted.map { $0 ? 1 : 0 }
    }

    /// The image's mask M brought to the latent's size.
    ///
    /// Nearest takes cell (y, x) from pixel (floor(y H / h), floor(x W / w)), as PyTorch's
    /// `interpolate(mode="nearest")`; max takes the largest pixel that the cell covers, in part or whole.
    ///
    /// - Parameters:
    ///   - pixels: M row-major, `imageHeight * imageWidth`, true = repaint.
    ///   - height: the latent's height h, at most the image's.
    ///   - width: the latent's width w, at most the image's.
    /// - Precondition: `pixels` fills its shape, and no side is 0.
    public init(
        pixels: [Bool], imageHeight: Int, imageWidth: Int, height: Int, width: Int,
        downsample: PilotParameters.MaskDownsample
    ) {
        precondition(pixels.count == imageHeight * imageWidth, "a mask's pixels must fill its shape")
        precondition((1...imageHeight).contains(height) && (1...imageWidth).contains(width))
        func covered(_ cell: Int, _ cells: Int, _ length: Int) -> Range<Int> {
            let first = cell * length / cells
            return first..<(downsample == .nearest ? first + 1 : ((cell + 1) * length + cells - 1) / cells)
        }
        var isRepainted: [Bool] = []
        isRepainted.reserveCapacity(height * width)
        for y in 0..<height {
            let rows = covered(y, height, imageHeight)
            for x in 0..<width {
                let columns = covered(x, width, imageWidth)
                isRepainted.append(rows.contains { row in columns.contains { pixels[row * imageWidth + $0] } })
            }
        }
        self.init(height: height, width: width, isRepainted: isRepainted)
    }

    /// No cell is to be repainted: there is nothing to do, and the result is the input.
    public var isEmpty: Bool { values.allSatisfy { $0 == 0 } }
    /// Every cell is to be repainted: no background, no attention mask; the job is text-to-image.
    public var isFull: Bool { values.allSatisfy { $0 == 1 } }
    /// The share of cells that is kept, 0...1.
    public var unmaskedFraction: Double {
        Double(values.count { $0 == 0 }) / Double(values.count)
    }

    /// m as a picture of shape `[1, h, w]`, for `BranchInputs`.
    public var latent: Latent { Latent(channels: 1, height: height, width: width, values: values) }
}
