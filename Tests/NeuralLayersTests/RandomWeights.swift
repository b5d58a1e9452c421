import NeuralLayers
import ReferenceKernels
import TensorKernels

/// Weights made up from their names: of size 1 / sqrt(inputs) in matrices and kernels, around 1 in norms.
final class RandomWeights: WeightSource {
    let store = WeightStore()

    func tensor(_ key: String, _ shape: [Int]) -> StoredTensor {
        StoredTensor(name: key, shape: shape, values: Self.numbers(key, shape).floats)
    }

    func contains(_ key: String) -> Bool { true }

    /// The same numbers for the reference.
    static func numbers(_ key: String, _ shape: [Int]) -> DoubleTensor {
        // FNV-1a: a seed for each name.
        let seed = key.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let inputs = shape.dropFirst().reduce(1, *)
        let isNormWeight = shape.count == 1 && key.hasSuffix("weight")
        return DoubleTensor(
            normal: shape, seed: seed, mean: isNormWeight ? 1 : 0,
            deviation: shape.count == 1 ? 0.3 : 1 / Double(inputs).squareRoot())
    }
}
