import Foundation

/// A dense array of float64, last axis contiguous: what the engine's tensors are compared with.
public struct DoubleTensor: Sendable {
    public let shape: [Int]
    public var values: [Double]

    public init(_ values: [Double], shape: [Int]) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values can't fill \(shape)")
        self.shape = shape
        self.values = values
    }

    public init(_ values: [Float], shape: [Int]) { self.init(values.map { Double($0) }, shape: shape) }

    public init(zeros shape: [Int]) {
        self.init([Double](repeating: 0, count: shape.reduce(1, *)), shape: shape)
    }

    /// Normal numbers, rounded to float32 so that the engine sees the same ones.
    public init(normal shape: [Int], seed: UInt64, mean: Double = 0, deviation: Double = 1) {
        var numbers = NormalNumbers(seed: seed)
        self.init((0..<shape.reduce(1, *)).map { _ in Float(mean + deviation * numbers.next()) }, shape: shape)
    }

    public var columns: Int { shape[shape.count - 1] }
    public var rows: Int { values.count / columns }
    public var floats: [Float] { values.map { Float($0) } }

    /// The same elements under another shape.
    public func reshaped(_ shape: [Int]) -> DoubleTensor { DoubleTensor(values, shape: shape) }

    public func map(_ transform: (Double) -> Double) -> DoubleTensor {
        DoubleTensor(values.map(transform), shape: shape)
    }

    public static func + (first: DoubleTensor, second: DoubleTensor) -> DoubleTensor {
        DoubleTensor(zip(first.values, second.values).map { $0 + $1 }, shape: first.shape)
    }

    public func dot(_ other: DoubleTensor) -> Double {
        precondition(values.count == other.values.count, "\(shape) times \(other.shape)")
        return zip(values, other.values).reduce(0) { $0 + $1.0 * $1.1 }
    }

    public var norm: Double { dot(self).squareRoot() }
}

/// SplitMix64 (Steele, Lea and Flood 2014) and the Box-Muller transform.
private struct NormalNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func uniform() -> Double {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return (Double((bits ^ (bits >> 31)) >> 11) + 0.5) * 0x1p-53
    }

    mutating func next() -> Double {
        (-2 * log(uniform())).squareRoot() * cos(2 * Double.pi * uniform())
    }
}

/// The largest difference, relative to the largest expected value; infinite where a count differs or a value is NaN.
public func relativeError(_ values: [Float], _ expected: [Double]) -> Double {
    guard values.count == expected.count else { return .infinity }
    var scale = 0.0
    var worst = 0.0
    for (value, expected) in zip(values, expected) {
        let difference = abs(Double(value) - expected)
        guard difference.isFinite else { return .infinity }
        scale = max(scale, abs(expected))
        worst = max(worst, difference)
    }
    return worst == 0 ? 0 : worst / scale
}

/// The root of the mean squared difference, relative to that of the expected values.
public func relativeRMS(_ values: [Float], _ expected: [Float]) -> Double {
    guard values.count == expected.count else { return .infinity }
    var squares = 0.0
    var scale = 0.0
    for (value, expected) in zip(values, expected) {
        squares += (Double(value) - Double(expected)) * (Double(value) - Double(expected))
        scale += Double(expected) * Double(expected)
    }
    return squares.isNaN ? .infinity : (squares / scale).squareRoot()
}

/// d/dt <dy, f(x + t direction)> at t = 0, by a central difference in float64.
public func directionalDerivative(
    of f: (DoubleTensor) throws -> DoubleTensor, at x: DoubleTensor, along direction: DoubleTensor,
    against dy: DoubleTensor, step: Double = 1e-5
) rethrows -> Double {
    let ahead = try dy.dot(f(x + direction.map { step * $0 }))
    let behind = try dy.dot(f(x + direction.map { -step * $0 }))
    return (ahead - behind) / (2 * step)
}
