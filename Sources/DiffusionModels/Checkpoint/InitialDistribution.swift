import Foundation
import TensorKernels

/// How the elements of a tensor are distributed in a model that was never trained.
enum InitialDistribution: Equatable {
    case constant(Float)
    /// In [-bound, bound).
    case uniform(bound: Float)
    case normal(deviation: Float)

    /// Elements that are made at a time, to be written while they are in the cache.
    private static let pieceLength = 1 << 18

    /// Told from the tensor's name and shape and, for a bias, from the shape of the weight beside it.
    init(of tensor: TensorRequest, among shapes: [String: [Int]]) {
        let isBias = tensor.key.hasSuffix(".bias")
        let weightKey = isBias ? tensor.key.dropLast("bias".count) + "weight" : tensor.key
        let weightShape = shapes[String(weightKey)] ?? tensor.shape
        if tensor.key.hasSuffix("token_embedding.weight") || tensor.key.hasSuffix("position_embedding.weight") {
            self = .normal(deviation: 0.02)
        } else if weightShape.count < 2 {
            self = .constant(isBias ? 0 : 1)
        } else {
            let inputs = weightShape.dropFirst().reduce(1, *)
            self = .uniform(bound: 1 / Float(max(inputs, 1)).squareRoot())
        }
    }

    func write(count: Int, from generator: inout WeightGenerator, to payload: inout SafetensorsPayload) throws {
        var piece = [Float](repeating: 0, count: min(count, Self.pieceLength))
        var rest = count
        while rest > 0 {
            let length = min(rest, piece.count)
            try piece.withUnsafeMutableBufferPointer { buffer in
                let values = UnsafeMutableBufferPointer(rebasing: buffer[..<length])
                fill(values, from: &generator)
                try payload.append(UnsafeBufferPointer(values))
            }
            rest -= length
        }
    }

    private func fill(_ values: UnsafeMutableBufferPointer<Float>, from generator: inout WeightGenerator) {
        switch self {
        case .constant(let value):
            values.update(repeating: value)
        case .uniform(let bound):
            generator.fill(values, bound: bound)
        case .normal(let deviation):
            for index in values.indices { values[index] = deviation * Self.normal(from: &generator) }
        }
    }

    /// A standard normal number by Box and Muller's transform, of which one of two results is used.
    private static func normal(from generator: inout WeightGenerator) -> Float {
        let bits = generator.next()
        // In (0, 1], so that its logarithm is finite, and [0, 1).
        let radius = Float((bits >> 40) + 1) * 0x1p-24
        let angle = Float((bits >> 16) & 0xff_ffff) * 0x1p-24
        return (-2 * log(radius)).squareRoot() * cos(2 * .pi * angle)
    }
}
