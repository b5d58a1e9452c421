import ReferenceKernels
import TensorKernels
import Testing

/// Kernels in bfloat16 against float32 on the same numbers. Rounding a result to 8 bits gives a relative RMS of about
/// 1.7e-3; where a kernel reads its own rounded results, some times that.
@Suite struct TensorBFloat16Tests {
    private func expectClose(_ tolerance: Double = 3e-3, _ compute: (ComputeContext) throws -> [Tensor]) throws {
        for (single, half) in zip(
            ComputeContext.ofAllInstructionSets(),
            ComputeContext.ofAllInstructionSets(elementType: .bfloat16))
        {
            let expected = try compute(single)
            let values = try compute(half)
            for (index, pair) in zip(values, expected).enumerated() {
                #expect(pair.0.shape == pair.1.shape)
                let error = relativeRMS(pair.0.floats, pair.1.floats)
                let place: Comment = "result \(index), \(half.instructionSetName)"
                switch pair.0.elementType {
                case .bfloat16: #expect(error < tolerance && error > 0, place)
                // A float32 sum of products of numbers that bfloat16 holds exactly loses nothing.
                case .float32: #expect(error < 1e-6, place)
                }
            }
        }
    }

    /// Numbers that bfloat16 holds exactly.
    private func numbers(_ shape: [Int], seed: UInt64) throws -> DoubleTensor {
        let half = try ComputeContext(threads: 1, elementType: .bfloat16, backend: .openBLAS)
        return DoubleTensor(DoubleTensor(normal: shape, seed: seed).tensor(in: half).floats, shape: shape)
    }

    @Test func elementwise() throws {
        let x = try numbers([11, 130], seed: 1)
        let dy = try numbers([11, 130], seed: 2)
        let half = try numbers([11, 65], seed: 3)
        try expectClose { context in
            let (x, dy) = (x.tensor(in: context), dy.tensor(in: context))
            return Activation.allCases.flatMap { [$0(x, in: context), $0.gradient(x, dy, in: context)] } + [
                GatedGELU.forward(x, in: context), GatedGELU.gradient(x, half.tensor(in: context), in: context),
                x.adding(dy, in: context),
            ]
        }
    }

    @Test func normalizations() throws {
        let x = try numbers([13, 11, 48], seed: 1)
        let dy = try numbers([13, 11, 48], seed: 2)
        let weight = try numbers([48], seed: 3).floats
        let bias = try numbers([48], seed: 4).floats
        try expectClose { context in
            let (x, dy) = (x.tensor(in: context), dy.tensor(in: context))
            let group = GroupNormalization(groups: 6, epsilon: 1e-5, silu: true)
            let (y, statistics) = try group.forward(x, weight: weight, bias: bias, in: context)
            return [
                y, try group.gradient(x, dy, weight: weight, statistics: statistics, in: context),
                LayerNormalization.forward(x, weight: weight, bias: bias, epsilon: 1e-5, in: context),
                LayerNormalization.gradient(x, dy, weight: weight, epsilon: 1e-5, in: context),
            ]
        }
    }

    @Test func attention() throws {
        let inputs = try (1...4).map { try numbers([140, 80], seed: $0) }
        let attention = ScaledDotProductAttention(heads: 2)
        let foreground = (0..<140).map { UInt8($0 % 5 == 0 ? 1 : 0) }
        let masks: [AttentionMask?] = [
            nil, .causal, .firstKeyOnly(foreground: foreground, chunk: 140),
            .firstKeyOnly(foreground: foreground, chunk: 28), .backgroundKeys(foreground: foreground),
        ]
        for mask in masks {
            try expectClose(6e-3) { context in
                let tensors = inputs.map { $0.tensor(in: context) }
                let (q, k, v, dy) = (tensors[0], tensors[1], tensors[2], tensors[3])
                let (y, saved) = attention.forward(q, k, v, mask: mask, in: context)
                let (dq, dk, dv) = attention.gradient(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context)
                return [y, dq, dk, dv]
            }
        }
    }

    @Test func productsAndConvolutions() throws {
        let x = try numbers([9, 7, 40], seed: 1)
        let weight = try numbers([24, 40, 3, 3], seed: 2)
        let matrix = try numbers([24, 40], seed: 3)
        let dy = try numbers([9, 7, 24], seed: 4)
        let small = try numbers([5, 4, 24], seed: 5)
        let bias = try numbers([24], seed: 6).floats
        try expectClose { context in
            func kernel(stride: Int) -> any ConvolutionKernel {
                context.backend.convolution(
                    ConvolutionGeometry(inputs: 40, outputs: 24, kernel: 3, stride: stride, before: 1, after: 1),
                    weight: Weight(StoredTensor(name: "w", shape: weight.shape, values: weight.floats)))
            }
            var product = dy.tensor(in: context).draft(in: context)
            try context.backend.multiply(
                x.tensor(in: context), by: matrix.weight, transposed: false, bias: bias, into: &product,
                accumulating: true, in: context)
            let input = x.tensor(in: context)
            let sums = try [ElementType.float32, context.elementType].map { type in
                var sum = dy.tensor(in: context.with(elementType: type)).draft(in: context)
                try kernel(stride: 1).forward(input, bias: bias, addingTo: &sum, in: context)
                return sum.finished()
            }
            let outputs = try [ElementType.float32, context.elementType].flatMap { type in
                [
                    try kernel(stride: 1).forward(input, bias: bias, as: type, in: context),
                    try kernel(stride: 2).forward(input, bias: bias, as: type, in: context),
                    try kernel(stride: 1).gradient(
                        dy.tensor(in: context), height: 9, width: 7, as: type, in: context),
                    try kernel(stride: 2).gradient(
                        small.tensor(in: context), height: 9, width: 7, as: type, in: context),
                ]
            }
            return [product.finished()] + sums + outputs
        }
    }

    @Test func sameBitsOnAnyThreads() throws {
        let x = try numbers([9, 77], seed: 1)
        #expect(
            ComputeContext.givesSameBitsOnAnyThreads(elementType: .bfloat16) { context in
                let x = x.tensor(in: context)
                let attention = ScaledDotProductAttention(heads: 7).forward(x, x, x, in: context).y
                return [Activation.gelu(x, in: context), x.adding(x, in: context), attention]
            })
    }
}
