import ReferenceKernels
import TensorKernels
import Testing

/// Sums of some thousand float32 products: 2e-6 of the largest value. Gradients are differences of terms of the size of
/// dy over the deviation, which sets what they are known to.
@Suite struct NormalizationTests {
    struct GroupCase: Sendable {
        let height: Int
        let width: Int
        let channels: Int
        let groups: Int
    }

    static let groupCases = [
        GroupCase(height: 1, width: 1, channels: 4, groups: 2), GroupCase(height: 3, width: 5, channels: 7, groups: 1),
        GroupCase(height: 3, width: 5, channels: 6, groups: 6),
        GroupCase(height: 8, width: 16, channels: 32, groups: 8),
        GroupCase(height: 13, width: 11, channels: 40, groups: 4),
        GroupCase(height: 17, width: 16, channels: 33, groups: 3),
        GroupCase(height: 2, width: 3, channels: 640, groups: 32),
        GroupCase(height: 2, width: 2, channels: 1028, groups: 2),
    ]

    @Test(arguments: groupCases, [false, true])
    func groupNorm(test: GroupCase, silu: Bool) throws {
        let shape = [test.height, test.width, test.channels]
        let x = DoubleTensor(normal: shape, seed: 1, mean: 0.7, deviation: 2)
        let weight = DoubleTensor(normal: [test.channels], seed: 2, mean: 1, deviation: 0.3)
        let bias = DoubleTensor(normal: [test.channels], seed: 3)
        let epsilon = 1e-5
        func reference(_ x: DoubleTensor) -> DoubleTensor {
            let y = x.groupNorm(groups: test.groups, weight, bias, epsilon: epsilon)
            return silu ? y.silu : y
        }
        let expected = reference(x)
        let dy = DoubleTensor(normal: shape, seed: 4)
        let directions = (5..<8).map { DoubleTensor(normal: shape, seed: $0) }
        let slopes = directions.map { directionalDerivative(of: reference, at: x, along: $0, against: dy) }
        let norm = GroupNormalization(groups: test.groups, epsilon: Float(epsilon), silu: silu)
        for context in ComputeContext.ofAllInstructionSets() {
            let input = x.tensor(in: context)
            let (y, statistics) = try norm.forward(input, weight: weight.floats, bias: bias.floats, in: context)
            #expect(y.relativeError(to: expected) < 2e-6)
            let dx = DoubleTensor(
                try norm.gradient(
                    input, dy.tensor(in: context), weight: weight.floats, statistics: statistics, in: context
                ).floats, shape: shape)
            for (direction, slope) in zip(directions, slopes) {
                #expect(
                    abs(dx.dot(direction) - slope) < 1e-5 * dx.norm + 1e-6 * dy.norm, "\(context.instructionSetName)")
            }
        }
    }

    @Test(arguments: [1, 3, 8, 40, 77, 320, 513, 1280])
    func layerNorm(channels: Int) {
        let shape = [6, channels]
        let x = DoubleTensor(normal: shape, seed: 1, mean: -0.4, deviation: 3)
        let weight = DoubleTensor(normal: [channels], seed: 2, mean: 1, deviation: 0.3)
        let bias = DoubleTensor(normal: [channels], seed: 3)
        let dy = DoubleTensor(normal: shape, seed: 4)
        let directions = (5..<8).map { DoubleTensor(normal: shape, seed: $0) }
        func reference(_ x: DoubleTensor) -> DoubleTensor { x.layerNorm(weight, bias, epsilon: 1e-5) }
        let expected = reference(x)
        let slopes = directions.map { directionalDerivative(of: reference, at: x, along: $0, against: dy) }
        for context in ComputeContext.ofAllInstructionSets() {
            let y = LayerNormalization.forward(
                x.tensor(in: context), weight: weight.floats, bias: bias.floats, epsilon: 1e-5, in: context)
            #expect(y.relativeError(to: expected) < 2e-6)
            let dx = DoubleTensor(
                LayerNormalization.gradient(
                    x.tensor(in: context), dy.tensor(in: context), weight: weight.floats, epsilon: 1e-5, in: context
                ).floats, shape: shape)
            for (direction, slope) in zip(directions, slopes) {
                // One channel has no deviation but epsilon's root.
                let terms = channels == 1 ? dy.norm / 1e-5.squareRoot() : dy.norm
                #expect(abs(dx.dot(direction) - slope) < 1e-5 * dx.norm + 1e-6 * terms, "\(context.instructionSetName)")
            }
        }
    }

    /// A mean of 1000 deviations: x itself is known to 3e-5 of a deviation, and the result to some of those.
    @Test func largeMeanSmallVariance() throws {
        let shape = [19, 17, 16]
        let x = DoubleTensor(normal: shape, seed: 1, mean: 1000, deviation: 1)
        let weight = DoubleTensor([Double](repeating: 1, count: 16), shape: [16])
        let bias = DoubleTensor(zeros: [16])
        let expected = x.groupNorm(groups: 4, weight, bias, epsilon: 1e-6)
        let rows = x.reshaped([19, 17 * 16])
        let wideWeight = DoubleTensor([Double](repeating: 1, count: 17 * 16), shape: [17 * 16])
        let wideBias = DoubleTensor(zeros: [17 * 16])
        let dy = DoubleTensor(normal: shape, seed: 2)
        let direction = DoubleTensor(normal: shape, seed: 3)
        let slope = directionalDerivative(
            of: { $0.groupNorm(groups: 4, weight, bias, epsilon: 1e-6) }, at: x, along: direction, against: dy)
        let norm = GroupNormalization(groups: 4, epsilon: 1e-6, silu: false)
        for context in ComputeContext.ofAllInstructionSets() {
            let (y, statistics) = try norm.forward(
                x.tensor(in: context), weight: weight.floats, bias: bias.floats, in: context)
            #expect(y.relativeError(to: expected) < 1e-4)
            let dx = DoubleTensor(
                try norm.gradient(
                    x.tensor(in: context), dy.tensor(in: context), weight: weight.floats, statistics: statistics,
                    in: context
                ).floats, shape: shape)
            #expect(abs(dx.dot(direction) - slope) < 1e-4 * dx.norm)
            let layer = LayerNormalization.forward(
                rows.tensor(in: context), weight: wideWeight.floats, bias: wideBias.floats, epsilon: 1e-6, in: context)
            #expect(layer.relativeError(to: rows.layerNorm(wideWeight, wideBias, epsilon: 1e-6)) < 1e-4)
        }
    }

    /// Without variance the result is the bias.
    @Test func constantInput() throws {
        let bias = DoubleTensor(normal: [24], seed: 1)
        let weight = [Float](repeating: 1, count: 24)
        for context in ComputeContext.ofAllInstructionSets() {
            for value in [Float(0), -3, 0.1, 0x1p-140] {
                let x = Tensor([Float](repeating: value, count: 5 * 7 * 24), shape: [5, 7, 24], in: context)
                let expected = DoubleTensor((0..<35).flatMap { _ in bias.values }, shape: [5, 7, 24])
                let group = GroupNormalization(groups: 3, epsilon: 1e-5, silu: false)
                #expect(
                    try group.forward(x, weight: weight, bias: bias.floats, in: context).y.relativeError(to: expected)
                        < 1e-4, "group norm of \(value)")
                let layer = LayerNormalization.forward(
                    x, weight: weight, bias: bias.floats, epsilon: 1e-5, in: context)
                #expect(layer.relativeError(to: expected) < 1e-4, "layer norm of \(value)")
            }
        }
    }

    @Test func sameBitsOnAnyThreads() throws {
        let x = DoubleTensor(normal: [23, 19, 24], seed: 1)
        let dy = DoubleTensor(normal: [23, 19, 24], seed: 2)
        let weight = DoubleTensor(normal: [24], seed: 3).floats
        let bias = DoubleTensor(normal: [24], seed: 4).floats
        #expect(
            try ComputeContext.givesSameBitsOnAnyThreads { context in
                let (x, dy) = (x.tensor(in: context), dy.tensor(in: context))
                let group = GroupNormalization(groups: 4, epsilon: 1e-5, silu: true)
                let (y, statistics) = try group.forward(x, weight: weight, bias: bias, in: context)
                return [
                    y, try group.gradient(x, dy, weight: weight, statistics: statistics, in: context),
                    LayerNormalization.forward(x, weight: weight, bias: bias, epsilon: 1e-5, in: context),
                    LayerNormalization.gradient(x, dy, weight: weight, epsilon: 1e-5, in: context),
                ]
            })
    }
}
