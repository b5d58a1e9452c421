import NeuralLayers
import TensorKernels

/// The weights of a net whose file has differences: what another network has too is to be added to that network's.
///
/// The sums are float32, and in this process's own memory.
final class SummedWeights: WeightSource {
    private let differences: CheckpointWeights
    private let base: CheckpointWeights

    init(_ differences: CheckpointWeights, base: CheckpointWeights) {
        self.differences = differences
        self.base = base
    }

    var store: WeightStore { differences.store }

    func contains(_ key: String) -> Bool { differences.contains(key) }

    func tensor(_ key: String, _ shape: [Int]) -> StoredTensor {
        let difference = differences.tensor(key, shape)
        guard !difference.isPlaceholder, base.contains(key) else { return difference }
        let weight = base.tensor(key, shape)
        guard !weight.isPlaceholder else { return difference }
        let sums = zip(weight.float32Values(), difference.float32Values()).map { $0 + $1 }
        return StoredTensor(name: "\(difference.file): \(key), added", shape: shape, values: sums)
    }
}
