import NeuralLayers
import TensorKernels

/// One tensor that a network asks for at its construction.
public struct TensorRequest: Sendable, Equatable {
    public let key: String
    public let shape: [Int]

    public init(key: String, shape: [Int]) {
        self.key = key
        self.shape = shape
    }

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
}

/// Gives placeholders and writes down what was asked for: how the tensors of an architecture are found out without a
/// checkpoint.
public final class RecordingWeights: WeightSource {
    /// Every tensor asked for, once, in the order of the first asking.
    public private(set) var requests: [TensorRequest] = []
    public let store = WeightStore()
    private var known: Set<String> = []

    public init() {}

    /// The parameters asked for so far.
    public var parameterCount: Int { requests.reduce(0) { $0 + $1.count } }

    public func tensor(_ key: String, _ shape: [Int]) -> StoredTensor {
        if known.insert(key).inserted { requests.append(TensorRequest(key: key, shape: shape)) }
        return StoredTensor(placeholder: key, shape: shape)
    }

    /// False: a tensor that is optional is not asked for.
    public func contains(_ key: String) -> Bool { false }
}
