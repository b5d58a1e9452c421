import CVectorKernels
import ReferenceKernels
import TensorKernels
import Testing

/// Convolutions in tiles, against the sum's definition in float64: within 3e-6 of the largest value, which is what direct
/// convolutions of so many channels are held to by the same rule.
@Suite struct WinogradTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let inputs: Int
        let outputs: Int
        let height: Int
        let width: Int
        /// The side of the tiles that it should be computed in.
        let side: Int
        var padding = ConvolutionGeometry.Padding(top: 1, bottom: 1, left: 1, right: 1)

        var geometry: ConvolutionGeometry {
            ConvolutionGeometry(inputs: inputs, outputs: outputs, kernel: 3, padding: padding)
        }
        var testDescription: String {
            "\(inputs) to \(outputs) channels of \(height) x \(width) in tiles of \(side), \(padding)"
        }
    }

    static let cases = [
        Case(inputs: 32, outputs: 32, height: 16, width: 16, side: 4),
        Case(inputs: 33, outputs: 47, height: 17, width: 15, side: 4),
        Case(inputs: 40, outputs: 70, height: 9, width: 30, side: 4),
        Case(inputs: 32, outputs: 48, height: 61, width: 2, side: 4),
        Case(inputs: 64, outputs: 96, height: 1, width: 64, side: 4),
        // Sums in two parts, and more tiles than a block has.
        Case(inputs: 350, outputs: 33, height: 16, width: 17, side: 4),
        Case(inputs: 32, outputs: 32, height: 49, width: 47, side: 4),
        Case(inputs: 64, outputs: 32, height: 8, width: 8, side: 2),
        Case(inputs: 35, outputs: 40, height: 1, width: 31, side: 2),
        Case(inputs: 400, outputs: 65, height: 9, width: 7, side: 2),
        Case(
            inputs: 32, outputs: 40, height: 20, width: 18, side: 4,
            padding: ConvolutionGeometry.Padding(top: 0, bottom: 2, left: 2, right: 0)),
        Case(
            inputs: 36, outputs: 32, height: 10, width: 11, side: 2,
            padding: ConvolutionGeometry.Padding(top: 2, bottom: 0, left: 0, right: 1)),
    ]

    private struct Results {
        let y: Tensor
        let sum: Tensor
        let dx: Tensor
    }

    private func run(
        _ geometry: ConvolutionGeometry, _ weight: DoubleTensor, _ bias: DoubleTensor, _ x: DoubleTensor,
        _ dy: DoubleTensor, as type: ElementType = .float32, in context: ComputeContext
    ) throws -> Results {
        let stored = StoredTensor(name: "w", shape: weight.shape, values: weight.floats)
        let convolution = PreparedConvolution(geometry, weight: Weight(stored))
        let input = x.tensor(in: context)
        let window = StripWindow(geometry, of: input, in: context)
        let y = try convolution.forward(input, through: window, bias: bias.floats, as: type, in: context)
        var sum = dy.tensor(in: context.with(elementType: type)).draft(in: context)
        try convolution.forward(input, through: window, bias: bias.floats, addingTo: &sum, in: context)
        let slope = dy.tensor(in: context)
        let back = StripGradientWindow(geometry, height: x.shape[0], width: x.shape[1], of: slope, in: context)
        let dx = try convolution.gradient(slope, through: back, as: type, in: context)
        return Results(y: y, sum: sum.finished(), dx: dx)
    }

    @Test(arguments: cases)
    func valuesAndGradients(test: Case) throws {
        let geometry = test.geometry
        #expect(geometry.tileSide(height: test.height, width: test.width, as: .float32) == test.side)
        let weight = DoubleTensor(normal: [test.outputs, test.inputs, 3, 3], seed: 1)
        let bias = DoubleTensor(normal: [test.outputs], seed: 2)
        let x = DoubleTensor(normal: [test.height, test.width, test.inputs], seed: 3)
        let reference = ReferenceConvolution(weight, stride: 1, padding: geometry.padding)
        let expected = reference(x, bias)
        let dy = DoubleTensor(normal: expected.shape, seed: 4)
        let dx = reference.gradient(dy, height: test.height, width: test.width)
        for instructionSet in 0..<4 where pilot_kernels_at(Int32(instructionSet)) != nil {
            let bits = try [1, 3].map { threads in
                let context = try ComputeContext(threads: threads, instructionSet: instructionSet, grain: 1)
                let results = try run(geometry, weight, bias, x, dy, in: context)
                #expect(results.y.relativeError(to: expected) < 3e-6)
                #expect(results.sum.relativeError(to: expected + dy) < 3e-6)
                #expect(results.dx.relativeError(to: dx) < 3e-6)
                return [results.y, results.sum, results.dx].map { $0.floats.map(\.bitPattern) }
            }
            #expect(bits[0] == bits[1], "one thread, and three")
        }
    }

    /// The same in bfloat16, of numbers that it has, within what rounding patches and kernels to it leaves: 1 % of the
    /// largest value. Tiles are those of 2 x 2.
    @Test(arguments: cases)
    func bfloat16(test: Case) throws {
        let geometry = test.geometry
        #expect(geometry.tileSide(height: test.height, width: test.width, as: .bfloat16) == 2)
        let half = try ComputeContext(threads: 1).with(elementType: .bfloat16)
        func rounded(_ values: DoubleTensor) -> DoubleTensor {
            DoubleTensor(values.tensor(in: half).floats, shape: values.shape)
        }
        let weight = DoubleTensor(normal: [test.outputs, test.inputs, 3, 3], seed: 1)
        let bias = DoubleTensor(normal: [test.outputs], seed: 2)
        let x = rounded(DoubleTensor(normal: [test.height, test.width, test.inputs], seed: 3))
        let reference = ReferenceConvolution(weight, stride: 1, padding: geometry.padding)
        let expected = reference(x, bias)
        let dy = rounded(DoubleTensor(normal: expected.shape, seed: 4))
        let dx = reference.gradient(dy, height: test.height, width: test.width)
        for instructionSet in 0..<4 where pilot_kernels_at(Int32(instructionSet)) != nil {
            let bits = try [1, 3].map { threads in
                let context = try ComputeContext(
                    threads: threads, elementType: .bfloat16, instructionSet: instructionSet, grain: 1)
                return try [ElementType.float32, .bfloat16].flatMap { type in
                    let results = try run(geometry, weight, bias, x, dy, as: type, in: context)
                    #expect(results.y.elementType == type && results.dx.elementType == type)
                    #expect(results.y.relativeError(to: expected) < 1e-2)
                    #expect(results.sum.relativeError(to: expected + dy) < 1e-2)
                    #expect(results.dx.relativeError(to: dx) < 1e-2)
                    return [results.y, results.sum, results.dx].map { $0.floats.map(\.bitPattern) }
                }
            }
            #expect(bits[0] == bits[1], "one thread, and three")
        }
    }

    /// What is computed directly: few channels, few tiles, other kernels and strides; and everything by the library that is
    /// there to compare with.
    @Test func whatIsNotTiled() throws {
        func side(
            _ inputs: Int, _ outputs: Int, _ height: Int, _ width: Int, kernel: Int = 3, stride: Int = 1,
            as type: ElementType = .float32
        ) -> Int? {
            ConvolutionGeometry(inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, before: 1, after: 1)
                .tileSide(height: height, width: width, as: type)
        }
        #expect(side(4, 320, 64, 64) == nil && side(320, 4, 64, 64) == nil)
        #expect(side(192, 192, 4, 4) == nil)
        #expect(side(320, 320, 64, 64, stride: 2) == nil && side(320, 320, 64, 64, kernel: 2) == nil)
        #expect(side(320, 320, 64, 64) == 4 && side(1920, 640, 32, 32) == 4)
        #expect(side(1280, 1280, 32, 32) == 2 && side(2560, 1280, 8, 8) == 2)
        #expect(side(320, 320, 64, 64, as: .bfloat16) == 2 && side(192, 192, 4, 4, as: .bfloat16) == nil)
        let openBLAS = try ComputeContext(threads: 1, backend: .openBLAS)
        let geometry = ConvolutionGeometry(inputs: 320, outputs: 320, kernel: 3, before: 1, after: 1)
        #expect(ConvolutionWay.tileSide(geometry, height: 64, width: 64, in: openBLAS) == nil)
    }

    /// A number that is none spoils its tile, and no other; a direct convolution spoils a part of that.
    @Test func notANumber() throws {
        let geometry = Self.cases[0].geometry
        let weight = DoubleTensor(normal: [32, 32, 3, 3], seed: 1)
        let context = try ComputeContext(threads: 1)
        for bad in [Double.nan, .infinity] {
            var x = DoubleTensor(normal: [16, 16, 32], seed: 3)
            x.values[(6 * 16 + 9) * 32 + 5] = bad
            let y = try run(
                geometry, weight, DoubleTensor(normal: [32], seed: 2), x, DoubleTensor(normal: [16, 16, 32], seed: 4),
                in: context
            ).y.floats
            for row in 0..<16 {
                for column in 0..<16 {
                    let finite = (0..<32).allSatisfy { y[(row * 16 + column) * 32 + $0].isFinite }
                    if (5...7).contains(row) && (8...10).contains(column) { #expect(!finite) }
                    if !(4..<8).contains(row) || !(8..<12).contains(column) { #expect(finite) }
                }
            }
        }
    }
}
