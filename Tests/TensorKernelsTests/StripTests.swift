import ReferenceKernels
import TensorKernels
import Testing

/// What a picture's layers compute strip by strip has the bits of the whole.
@Suite struct StripTests {
    static let cuts = [[0, 12], [0, 6, 12], [0, 2, 4, 12], [0, 8, 10, 12]]

    private func picture(_ width: Int, _ channels: Int, seed: UInt64) -> DoubleTensor {
        DoubleTensor(normal: [12, width, channels], seed: seed, mean: 0.3)
    }

    private func expectSame(_ strips: [Tensor], _ whole: Tensor, _ what: Comment) {
        #expect(strips.flatMap(\.floats).map(\.bitPattern) == whole.floats.map(\.bitPattern), what)
        #expect(strips.reduce(0) { $0 + $1.shape[0] } == whole.shape[0], what)
    }

    /// Rows shorter than a run, and rows of several.
    @Test(arguments: cuts, [5, 128, 129, 300])
    func groupNorm(cut: [Int], width: Int) throws {
        let (x, dy) = (picture(width, 24, seed: 1), picture(width, 24, seed: 2))
        let weight = DoubleTensor(normal: [24], seed: 3).floats
        let bias = DoubleTensor(normal: [24], seed: 4).floats
        let norm = GroupNormalization(groups: 4, epsilon: 1e-5, silu: true)
        for type in ElementType.allCases {
            let whole = try ComputeContext(threads: 2, elementType: type, backend: .openBLAS, grain: 1)
            let input = x.tensor(in: whole)
            let (y, statistics) = try norm.forward(input, weight: weight, bias: bias, in: whole)
            let dx = try norm.gradient(
                input, dy.tensor(in: whole), weight: weight, statistics: statistics, in: whole)
            let make = { @Sendable in try ComputeContext(threads: 1, elementType: type, backend: .openBLAS) }
            let strips = StripsOnThreads(cut)
            expectSame(
                try strips(context: make) { rows, context in
                    try norm.forward(
                        x.tensor(in: context).rows(rows, in: context), weight: weight, bias: bias, in: context
                    ).y
                }, y, "value, \(type)")
            expectSame(
                try strips(context: make) { rows, context in
                    let part = x.tensor(in: context).rows(rows, in: context)
                    let (_, statistics) = try norm.forward(part, weight: weight, bias: bias, in: context)
                    return try norm.gradient(
                        part, dy.tensor(in: context).rows(rows, in: context), weight: weight, statistics: statistics,
                        in: context)
                }, dx, "gradient, \(type)")
        }
    }

    /// A convolution of kernel 3 with a row or column of zeros around the picture: each strip takes its neighbours' rows
    /// in place of the zeros.
    @Test(arguments: cuts, [(1, ElementType.float32), (2, .float32), (1, .bfloat16), (2, .bfloat16)])
    func convolution(cut: [Int], kind: (stride: Int, type: ElementType)) throws {
        let (stride, type) = kind
        let whole = try ComputeContext(threads: 2, grain: 1).with(elementType: type)
        guard whole.backend.computes(in: type) else { return }
        let weight = DoubleTensor(normal: [32, 48, 3, 3], seed: 1, deviation: 0.1).floats
        let x = picture(11, 48, seed: 2)
        let stored = StoredTensor(name: "w", shape: [32, 48, 3, 3], values: weight)
        @Sendable func kernel(_ top: Int, _ bottom: Int, _ context: ComputeContext) -> any ConvolutionKernel {
            context.backend.convolution(
                ConvolutionGeometry(
                    inputs: 48, outputs: 32, kernel: 3, stride: stride,
                    padding: .init(top: top, bottom: bottom, left: 1, right: 1)), weight: Weight(stored))
        }
        let y = try kernel(1, 1, whole).forward(x.tensor(in: whole), bias: nil, as: .float32, in: whole)
        let dy = DoubleTensor(normal: y.shape, seed: 3)
        let dx = try kernel(1, 1, whole).gradient(
            dy.tensor(in: whole), height: 12, width: 11, as: .float32, in: whole)
        let make = { @Sendable in try ComputeContext(threads: 1, elementType: type) }
        let forward = try StripsOnThreads(cut)(context: make) { rows, context in
            let part = x.tensor(in: context).rows(rows, in: context)
            let strip = context.neighbours.strip(of: part)
            // The last output of a strip of even height and stride 2 ends with its last row.
            let below = stride == 1 ? 1 : 0
            let input = try context.neighbours.addingBorders(to: part, above: 1, below: below, in: context)
            return try kernel(strip.isFirst ? 1 : 0, strip.isLast ? 1 : 0, context)
                .forward(input, bias: nil, as: .float32, in: context)
        }
        expectSame(forward, y, "value")
        let backward = try StripsOnThreads(cut.map { $0 / stride })(context: make) { rows, context in
            let part = dy.tensor(in: context).rows(rows, in: context)
            let strip = context.neighbours.strip(of: part)
            let above = stride == 1 ? 1 : 0
            let gradient = try context.neighbours.addingBorders(to: part, above: above, below: 1, in: context)
            return try kernel(strip.isFirst || stride == 2 ? 1 : 2, strip.isLast ? 1 : 2, context)
                .gradient(gradient, height: rows.count * stride, width: 11, as: .float32, in: context)
        }
        expectSame(backward, dx, "gradient")
    }

    /// A rank that holds whole pictures asks nobody.
    @Test func wholePicture() throws {
        let context = try ComputeContext(threads: 1)
        let x = picture(5, 3, seed: 1).tensor(in: context)
        let neighbours = context.neighbours
        let strip = neighbours.strip(of: x)
        #expect(strip == Strip(rows: 0..<12, height: 12) && strip.isFirst && strip.isLast)
        #expect(try neighbours.addingBorders(to: x, above: 1, below: 1, in: context).floats == x.floats)
        #expect(try neighbours.gatheringRows(of: x, in: context).floats == x.floats)
        #expect(try neighbours.inRowOrder([1.0, 2.0]) == [1.0, 2.0])
        // Other number formats have the same neighbours.
        let cut = try StripsOnThreads([0, 5, 12])(context: { try ComputeContext(threads: 1) }) { rows, context in
            let context = context.with(elementType: .bfloat16).with(elementType: .float32)
            let part = x.rows(rows, in: context)
            return try context.neighbours.addingBorders(to: part, above: 2, below: 3, in: context)
        }
        #expect(cut.map { $0.shape[0] } == [8, 9])
        #expect(cut[0].floats == x.rows(0..<8, in: context).floats)
        #expect(cut[1].floats == x.rows(3..<12, in: context).floats)
    }
}
