import Glibc

/// How a picture is brought to another size; each gives the values of Pillow's filter of the same name.
public enum ResamplingFilter: Sendable, CaseIterable {
    /// The pixel under the centre of the new one: for masks, which must not gain intermediate values.
    case nearest
    /// The mean of the pixels covered.
    case box
    /// A triangle of one pixel's reach.
    case bilinear
    /// Keys' cubic with a = -1/2, of two pixels' reach.
    case bicubic
    /// A windowed sinc of three pixels' reach, for photographs.
    case lanczos

    /// How far the filter reaches to either side, in pixels.
    var reach: Double {
        switch self {
        case .nearest, .box: 0.5
        case .bilinear: 1
        case .bicubic: 2
        case .lanczos: 3
        }
    }

    /// The filter's value at a distance from its centre, in pixels, not normalised.
    func callAsFunction(_ x: Double) -> Double {
        switch self {
        case .nearest, .box:
            return x > -0.5 && x <= 0.5 ? 1 : 0
        case .bilinear:
            return max(0, 1 - abs(x))
        case .bicubic:
            return Self.cubic(abs(x))
        case .lanczos:
            return x >= -3 && x < 3 ? Self.sinc(x) * Self.sinc(x / 3) : 0
        }
    }

    private static func cubic(_ x: Double) -> Double {
        let a = -0.5
        if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    }

    private static func sinc(_ x: Double) -> Double {
        if x == 0 { return 1 }
        return sin(x * .pi) / (x * .pi)
    }
}

/// For each new position along one axis, the old positions it is made of and their weights.
///
/// When reducing, the filter is stretched by the scale, so that every old pixel counts (antialiasing). Weights are fixed
/// point, as in Pillow for 8-bit pictures: a sum of weight * byte, rounded by the half below, fits 32 bits with sign.
struct ResamplingWeights {
    /// 32 bits less 8 of the sample and 2 of headroom for the filter's overshoot.
    static let fractionBits: Int32 = 22

    /// The first old position of each new one.
    private(set) var first: [Int] = []
    /// How many old positions make each new one.
    private(set) var count: [Int] = []
    /// `stride` weights per new position, of which `count` are used.
    private(set) var weights: [Int32]
    let stride: Int

    init(from oldSize: Int, to newSize: Int, filter: ResamplingFilter) {
        let scale = Double(oldSize) / Double(newSize)
        let stretch = max(scale, 1)
        let reach = filter.reach * stretch
        stride = Int(reach.rounded(.up)) * 2 + 1
        weights = [Int32](repeating: 0, count: newSize * stride)
        for position in 0..<newSize {
            let centre = (Double(position) + 0.5) * scale
            let start = max(0, Int(centre - reach + 0.5))
            let end = min(oldSize, Int(centre + reach + 0.5))
            let values = (start..<end).map { filter((Double($0) - centre + 0.5) / stretch) }
            let sum = values.reduce(0, +)
            for (index, value) in values.enumerated() {
                let scaled = (sum == 0 ? value : value / sum) * Double(1 << Self.fractionBits)
                weights[position * stride + index] = Int32(scaled.rounded(.toNearestOrAwayFromZero))
            }
            first.append(start)
            count.append(end - start)
        }
    }
}
